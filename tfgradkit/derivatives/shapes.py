"""Sample and batch axes: static sizes where they are known, tensors where they are not."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Dims = list[Any]


def dims(tensor: tf.Tensor) -> Dims:
    """The shape as a list of ints, with scalar tensors for what only the run knows."""
    static = tensor.shape.as_list()
    if None not in static:
        return static
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(static)]


def split(tensor: tf.Tensor, batched: bool) -> tuple[Dims, Dims]:
    """The batch axis (none or one) and the axes of a sample."""
    sizes = dims(tensor)
    return (sizes[:1], sizes[1:]) if batched else ([], sizes)


def size(sample: Dims) -> Any:
    """How many elements a sample has."""
    count: Any = 1
    for axis in sample:
        count = count * axis
    return count


def is_scalar_sample(y: tf.Tensor, batched: bool) -> bool:
    """Whether y counts as scalar-valued: no axis, or batched ``[B]`` and ``[B, 1]``."""
    return split(y, batched)[1] in ([], [1] if batched else [])


def repeated(tensor: tf.Tensor, copies: Any) -> tf.Tensor:
    """The batch ``copies`` times, one after another."""
    return tf.tile(tensor, [copies, *[1] * (tensor.shape.rank - 1)])
