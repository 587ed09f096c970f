"""Sample and batch axes: static sizes where they are known, tensors where they are not."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..differentiable import TensorFunction, shape_text
from ..errors import GradientError

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


def scalar_valued(f: TensorFunction, x: tf.Tensor, batched: bool, operator: str, name: str) -> TensorFunction:
    """``f`` with results ``[B]`` (or a scalar, not batched): an axis of size 1 is dropped.

    Raises (when traced):
        GradientError: ``f`` has more than one output a sample.
    """

    def call(argument: tf.Tensor) -> tf.Tensor:
        y = f(argument)
        batch, sample = split(y, batched)
        if sample not in ([], [1]) or (sample and not batched):
            raise GradientError(
                f"{operator} needs a scalar-valued function",
                subject=name,
                expected="[B] or [B, 1]" if batched else "a scalar",
                got=shape_text(y.shape),
                hint="jacobian for all outputs, vjp for a weighted sum of them, or return the one output you mean",
            )
        return tf.reshape(y, batch)

    return call
