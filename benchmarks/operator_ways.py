"""Every way to the derivatives of operator_cases.py: for a case, and samples, a call that returns NumPy results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from operator_cases import Case, keras_model

# A way takes the samples to its framework, and returns what is timed.
Ways = dict[str, Callable[[np.ndarray], Callable[[], np.ndarray]]]

OURS, OURS_XLA, DENSE, TRACE = "ours", "ours, XLA", "ours, dense", "ours, trace of the Hessian"
EAGER, IN_GRAPH = "eager tape", " in `tf.function`"


def tensorflow(case: Case) -> Ways:
    """Our operators; and tapes called eagerly, in a ``tf.function``, and compiled by XLA."""
    import tensorflow as tf
    from operator_tapes import tapes

    if case.kind == "sparse":
        from sparse import bratu as function
    else:
        function = keras_model(case)

    def way(call: Callable[[Any], Any]) -> Callable[[np.ndarray], Callable[[], np.ndarray]]:
        def prepared(x: np.ndarray) -> Callable[[], np.ndarray]:
            tensor = tf.constant(x[0] if case.kind == "sparse" else x)
            return lambda: _array(call(tensor))

        return prepared

    ways = {name: way(call) for name, call in _ours(case, function).items()}
    for name, tape in tapes(case, function).items():
        ways.setdefault(EAGER, way(tape))
        ways[name + IN_GRAPH] = way(tf.function(tape, autograph=False))
        ways[f"{name}{IN_GRAPH}, XLA"] = way(tf.function(tape, autograph=False, jit_compile=True))
    return ways


def _array(result: Any) -> np.ndarray:
    """Dense results, or the entries of a sparse one."""
    return result.data if hasattr(result, "nnz") else result.numpy()


def _ours(case: Case, function: Any) -> dict[str, Callable[[Any], Any]]:
    import tensorflow as tf

    import tfgradkit as tgk

    operator = {"sparse": "sparse_jacobian"}.get(case.kind, case.kind)
    ways: dict[str, Callable[[Any], Any]] = {}
    if hasattr(tgk, operator):
        ways |= {OURS: getattr(tgk, operator)(function), OURS_XLA: getattr(tgk, operator)(function, jit_compile=True)}
    if case.kind == "sparse":
        ways |= {DENSE: tgk.jacobian(function), f"{DENSE}, XLA": tgk.jacobian(function, jit_compile=True)}
    if case.kind == "laplacian":
        hessian = tgk.hessian(function)
        trace = tf.function(lambda x: tf.linalg.trace(hessian(x)), autograph=False)
        ways |= {TRACE: trace, f"{TRACE}, XLA": tf.function(trace, autograph=False, jit_compile=True)}
    return ways


def jax(case: Case) -> Ways:
    """``jit(vmap(...))``; of the networks of dense layers."""
    import jax
    import jax.numpy as jnp

    if not case.sizes:
        return {}
    weights = case.weights()

    def network(x: Any) -> Any:
        for kernel, bias in weights[:-1]:
            x = jnp.tanh(x @ kernel + bias)
        return x @ weights[-1][0] + weights[-1][1]

    hessian = jax.hessian(lambda x: network(x)[0])
    derivatives = {
        "jacobian": {"JAX `jacrev`": jax.jacrev(network), "JAX `jacfwd`": jax.jacfwd(network)},
        "hessian": {"JAX `hessian`": hessian},
        "laplacian": {"JAX, trace of `hessian`": lambda x: jnp.trace(hessian(x))},
    }[case.kind]

    def way(derivative: Any) -> Callable[[np.ndarray], Callable[[], np.ndarray]]:
        call = jax.jit(jax.vmap(derivative))

        def prepared(x: np.ndarray) -> Callable[[], np.ndarray]:
            given = jnp.asarray(x)
            return lambda: np.asarray(call(given))

        return prepared

    return {name: way(derivative) for name, derivative in derivatives.items()}


def torch(case: Case) -> Ways:
    """``torch.func``, as it is called: ``torch.compile`` takes longer than the rest of this benchmark."""
    import torch

    if not case.sizes or case.kind == "laplacian":
        return {}
    weights = [(torch.tensor(kernel), torch.tensor(bias)) for kernel, bias in case.weights()]

    def network(x: Any) -> Any:
        for kernel, bias in weights[:-1]:
            x = torch.tanh(x @ kernel + bias)
        return x @ weights[-1][0] + weights[-1][1]

    derivatives = {
        "jacobian": {"torch `jacrev`": torch.func.jacrev(network), "torch `jacfwd`": torch.func.jacfwd(network)},
        "hessian": {"torch `hessian`": torch.func.hessian(lambda x: network(x)[0])},
    }[case.kind]

    def way(derivative: Any) -> Callable[[np.ndarray], Callable[[], np.ndarray]]:
        call = torch.func.vmap(derivative)

        def prepared(x: np.ndarray) -> Callable[[], np.ndarray]:
            given = torch.from_numpy(x)
            return lambda: call(given).detach().numpy()

        return prepared

    return {name: way(derivative) for name, derivative in derivatives.items()}


GROUPS: dict[str, Callable[[Case], Ways]] = {"tensorflow": tensorflow, "jax": jax, "torch": torch}
