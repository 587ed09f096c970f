"""JAX's and PyTorch's ways to the derivatives of operator_cases.py; of the networks of dense layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from operator_cases import Case

# A way takes the samples to its framework, and returns what is timed.
Ways = dict[str, Callable[[np.ndarray], Callable[[], np.ndarray]]]


def jax(case: Case) -> Ways:
    """``jit(vmap(...))``."""
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
