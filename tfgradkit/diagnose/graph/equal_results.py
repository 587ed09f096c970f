"""Whether a function and its simplified form return the same at random arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import GraphError
from .graph_view import GraphView, spec_of_leaf

_SAMPLES = 3
# In units of the dtype's precision, relative to the largest magnitude: sums may be added in another order.
_TOLERANCE = 1e4


def check_equal(seen: GraphView, simplified: Any) -> None:
    """Raises :class:`GraphError` where ``simplified`` returns other numbers than the function at random arguments."""
    if differ(seen, None):
        raise GraphError(
            "the function gives something else each time, so nothing can be compared",
            subject=seen.source.name,
            hint="training=False; random numbers from a seed that is an argument",
        )
    if found := differ(seen, simplified):
        raise GraphError(
            "the simplified graph is not the same function",
            subject=seen.source.name,
            got="{} differs by {:.2g}".format(*found),
            hint="please report this",
        )


def differ(seen: GraphView, simplified: Any) -> tuple[str, float] | None:
    """The first result that differs, and by how much; None where all agree. ``simplified`` None: the function again.

    Raises:
        GraphError: the function can't be run at random arguments.
    """
    flat = random_tensors(seen)
    try:
        expected = [tensor.numpy() for tensor in seen.concrete(*flat)]
        results = seen.concrete(*flat) if simplified is None else simplified(*repacked(seen, flat))
    except tf.errors.OpError as error:
        raise GraphError(
            "the function can't be run at random arguments, to compare with",
            subject=seen.source.name,
            got=error.message.split("\n", 1)[0],
        ) from error
    leaves = [leaf for leaf in tf.nest.flatten(results) if leaf is not None]
    for name, a, b in zip(seen.output_names, expected, leaves, strict=False):
        if (difference := _difference(a, b.numpy())) > 0:
            return name, difference
    return None


def random_tensors(seen: GraphView, samples: int = _SAMPLES, seed: int = 0) -> list[tf.Tensor]:
    """Arguments for the flat function: normally distributed; 0 and 1 for integers and truth values."""
    random = np.random.default_rng(seed)
    return [_random_tensor(random, tensor, samples) for tensor in seen.inputs]


def repacked(seen: GraphView, flat: Sequence[Any]) -> list[Any]:
    """Flat arguments in the user's nests; leaves that are no tensors stay."""
    values = iter(flat)
    leaves = [leaf if spec_of_leaf(leaf) is None else next(values) for leaf in tf.nest.flatten(seen.arguments)]
    packed: list[Any] = tf.nest.pack_sequence_as(seen.arguments, leaves)
    return packed


def _random_tensor(random: np.random.Generator, tensor: Any, samples: int) -> tf.Tensor:
    if tensor.shape.rank is None:
        raise GraphError("the shape of an argument has to be known", got=f"{tensor.op.name}: any shape")
    shape = [samples if size is None else size for size in tensor.shape]
    if tensor.dtype.is_floating or tensor.dtype.is_complex:
        return tf.cast(random.normal(size=shape), tensor.dtype)
    return tf.cast(random.integers(0, 2, shape), tensor.dtype)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference of two arrays; 0 where they agree up to rounding."""
    if a.shape != b.shape or (a.dtype.kind not in "fc" and a.dtype.name != "bfloat16"):
        return 0.0 if np.array_equal(a, b) else float("inf")
    wide_a, wide_b = a.astype(complex), b.astype(complex)
    finite = np.isfinite(wide_a)
    if not np.array_equal(finite, np.isfinite(wide_b)):
        return float("inf")
    precision = float(tf.experimental.numpy.finfo(tf.as_dtype(a.dtype).real_dtype.as_numpy_dtype).eps)
    scale = np.abs(wide_a[finite]).max(initial=0)
    difference = float(np.abs(wide_a[finite] - wide_b[finite]).max(initial=0))
    return difference if difference > _TOLERANCE * precision * scale else 0.0
