"""Every way to the derivatives of operator_cases.py: for a case, and samples, a call that returns NumPy results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from operator_cases import Case, keras_model
from operator_others import Ways, jax, torch

OURS, OURS_XLA, DENSE, TRACE = "ours", "ours, XLA", "ours, dense", "ours, trace of the Hessian"
EAGER, IN_GRAPH = "eager tape", " in `tf.function`"


def tensorflow(case: Case) -> Ways:
    """Our operators; and tapes called eagerly, in a ``tf.function``, and compiled by XLA."""
    import tensorflow as tf
    from operator_tapes import tapes

    function = _function(case)
    alone = case.name == "sparse"  # a function of one sample

    def way(call: Callable[[Any], Any]) -> Callable[[np.ndarray], Callable[[], np.ndarray]]:
        def prepared(x: np.ndarray) -> Callable[[], np.ndarray]:
            tensor = tf.constant(x[0] if alone else x)
            return lambda: _array(call(tensor))

        return prepared

    ways = {name: way(call) for name, call in _ours(case, function).items()}
    for name, tape in tapes(case, function).items():
        ways.setdefault(EAGER, way(tape))
        ways[name + IN_GRAPH] = way(tf.function(tape, autograph=False))
        ways[f"{name}{IN_GRAPH}, XLA"] = way(tf.function(tape, autograph=False, jit_compile=True))
    return ways


def _function(case: Case) -> Any:
    import sparse

    return {"sparse": lambda: sparse.bratu, "sparse-conv": lambda: sparse.convolutions(1000)}.get(
        case.name, lambda: keras_model(case)
    )()


def _array(result: Any) -> np.ndarray:
    """Dense results, or the entries of a sparse one."""
    result = result[0] if isinstance(result, list) else result
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


GROUPS: dict[str, Callable[[Case], Ways]] = {"tensorflow": tensorflow, "jax": jax, "torch": torch}
