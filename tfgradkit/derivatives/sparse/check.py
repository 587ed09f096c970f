"""Whether a sparse Jacobian misses entries: one product with a random vector against that of the function itself.

An entry outside the pattern shows, with probability one, where the derivative there is not zero at the point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import GradientError
from ..derivative import Derivative
from ..selection import positions
from .compression import ColouredStep
from .matrices import matrices

# In units of the dtype's precision, relative to the sum of magnitudes.
_TOLERANCE = 1e4


def checked(derivative: Derivative, arguments: Sequence[Any], data: tf.Tensor, step: ColouredStep) -> None:
    """Compares a Jacobian with a product at the same arguments, in the mode that it was made in.

    Raises:
        GradientError: they differ, so an entry is missing from the pattern.
    """
    forward = step.mode == "forward"
    seed, expected = _product(derivative, arguments, forward)
    whole = matrices(data.numpy(), step.pattern, derivative.source.batched, block=True)
    whole = whole if forward else whole.T
    difference = np.abs((whole @ seed.ravel()).reshape(expected.shape) - expected)
    scale = (abs(whole) @ np.abs(seed.ravel())).reshape(expected.shape) + np.abs(expected).max(initial=0)
    wrong = np.unique(np.argwhere(difference > _TOLERANCE * _precision(data.dtype) * scale)[:, -1])
    if len(wrong):
        raise GradientError(
            "the pattern misses an entry",
            subject=str(derivative),
            expected=f"an entry for each derivative that is not zero, in {'row' if forward else 'column'} "
            f"{', '.join(map(str, wrong[:10]))}{', …' if len(wrong) > 10 else ''}",
            got=f"a product that differs by {difference.max():.2g}",
            hint="leave pattern= out, and it is read off the graph",
        )


def _product(derivative: Derivative, arguments: Sequence[Any], forward: bool) -> tuple[np.ndarray, np.ndarray]:
    """A random seed and its product, both flat: ``[B, …]``, or without the B."""
    source, options = derivative.source, replace(derivative.options, unconnected="zero", mode="auto")
    picked = positions(options, len(arguments), source.name)
    converted = source.to_arguments(arguments, picked)
    if forward:
        like = tuple(converted[p] for p in picked) if isinstance(options.argnums, tuple) else converted[picked[0]]
    else:
        like = _first(Derivative(source, "value", ("value",), options)(*arguments), options.has_aux)
    operator, name = ("jvp", "tangents") if forward else ("vjp", "output_gradients")
    random = np.random.default_rng(0)
    seed = tf.nest.map_structure(lambda t: tf.cast(random.normal(size=t.shape), t.dtype), like)
    product = _first(Derivative(source, operator, (operator,), options)(*arguments, **{name: seed}), options.has_aux)
    return _flat(seed, source.batched), _flat(product, source.batched)


def _precision(dtype: tf.DType) -> float:
    return float(tf.experimental.numpy.finfo(dtype.real_dtype.as_numpy_dtype).eps)


def _first(results: Any, has_aux: bool) -> Any:
    return results[0] if has_aux else results


def _flat(nest: Any, batched: bool) -> np.ndarray:
    lead = 1 if batched else 0
    return np.concatenate([t.numpy().reshape(*t.shape[:lead], -1) for t in tf.nest.flatten(nest)], -1)
