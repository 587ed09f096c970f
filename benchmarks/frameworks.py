"""The same from Python frameworks: a function of an array for each way, that returns when the results are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case, Layers, dense_layers

Ways = dict[str, Callable[[np.ndarray], Any]]


def ours(case: Case, folder: Path) -> Ways:
    """``load_native``."""
    from tfgradkit.native import load_native

    library = load_native(folder)
    call = library.value_and_jacobian if case.kind == "jacobian" else library.value_gradient_and_hessian
    return {
        "`load_native`, one thread": lambda x: call(x, threads=1),
        "`load_native`, all threads": lambda x: call(x),
    }


def tensorflow(case: Case, folder: Path) -> Ways:
    """``batch_jacobian`` in a ``tf.function``, as it is written without tfgradkit, and our operators."""
    import tensorflow as tf

    import tfgradkit as tgk

    model = case.make()

    def jacobian(x: Any) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
        return y, tape.batch_jacobian(y, x)

    def hessian(x: Any) -> tuple[Any, ...]:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = model(x)
            gradient = inner.gradient(y, x)
        return y, gradient, outer.batch_jacobian(gradient, x)

    function = jacobian if case.kind == "jacobian" else hessian
    operator = tgk.value_and_jacobian if case.kind == "jacobian" else tgk.value_gradient_and_hessian
    graph, compiled, own = tf.function(function), tf.function(function, jit_compile=True), operator(model)
    return {
        "`tf.function` with `batch_jacobian`": lambda x: [r.numpy() for r in graph(tf.constant(x))],
        "the same with XLA": lambda x: [r.numpy() for r in compiled(tf.constant(x))],
        "`tgk." + ("value_and_jacobian`" if case.kind == "jacobian" else "value_gradient_and_hessian`"): (
            lambda x: [r.numpy() for r in own(x)]
        ),
    }


def jax(case: Case, folder: Path) -> Ways:
    """``jit(vmap(...))`` of forward and reverse mode, or of ``hessian``."""
    import jax

    jax.config.update("jax_enable_x64", True)
    activation = {"tanh": jax.numpy.tanh, "softplus": jax.nn.softplus}[case.activation]
    network = _network(case, activation)

    def with_value(derivative: Any) -> Callable[[np.ndarray], Any]:
        call = jax.jit(jax.vmap(derivative))
        return lambda x: jax.block_until_ready(call(x))

    if case.kind == "jacobian":
        pair = lambda x: (network(x),) * 2  # noqa: E731
        return {
            "JAX `jit(vmap(jacrev))`": with_value(jax.jacrev(pair, has_aux=True)),
            "JAX `jit(vmap(jacfwd))`": with_value(jax.jacfwd(pair, has_aux=True)),
        }
    scalar = lambda x: network(x)[0]  # noqa: E731
    return {"JAX `jit(vmap(hessian))`": with_value(lambda x: (*jax.value_and_grad(scalar)(x), jax.hessian(scalar)(x)))}


def torch(case: Case, folder: Path) -> Ways:
    """``torch.compile(vmap(...))``."""
    import torch

    activation = {"tanh": torch.tanh, "softplus": torch.nn.functional.softplus}[case.activation]
    network = _network(case, activation, lambda w: torch.tensor(w))
    if case.kind == "jacobian":
        derivative = torch.func.jacrev(lambda x: (network(x),) * 2, has_aux=True)
    else:
        scalar = lambda x: network(x)[0]  # noqa: E731
        both = torch.func.grad_and_value(scalar)
        derivative = lambda x: (*both(x), torch.func.hessian(scalar)(x))  # noqa: E731
    call = torch.compile(torch.func.vmap(derivative), dynamic=False)
    name = "jacrev" if case.kind == "jacobian" else "hessian"

    def run(x: np.ndarray) -> Any:
        with torch.no_grad():
            return call(torch.from_numpy(x))

    return {f"PyTorch `compile(vmap({name}))`": run}


def _network(case: Case, activation: Any, convert: Any = lambda w: w) -> Callable[[Any], Any]:
    layers: Layers = dense_layers(case.make())
    weights = [(convert(k.astype(case.dtype)), convert(b.astype(case.dtype))) for k, b in layers]

    def network(x: Any) -> Any:
        for kernel, bias in weights[:-1]:
            x = activation(x @ kernel + bias)
        return x @ weights[-1][0] + weights[-1][1]

    return network


GROUPS: dict[str, Callable[[Case, Path], Ways]] = {"ours": ours, "tensorflow": tensorflow, "jax": jax, "torch": torch}
