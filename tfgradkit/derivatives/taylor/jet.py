"""The jet that is carried for each tensor of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import dims
from ...graph.emit import NoRuleError


@dataclass(frozen=True)
class Jet:
    """A tensor, and how it changes along D directions of x.

    Attributes:
        value: the tensor.
        slopes: derivatives along each direction, ``[D, *value]``; None where it does not depend on
            x. An axis of size 1 stands for a value that is the same all along it: a whole batch
            often has the same slopes, up to the first nonlinear op.
        bend: the sum over the directions of the second derivatives, like ``value`` or
            broadcastable to it; None for zero.
        root: of a square root or an absolute value, the type of its op, and what it is taken of.
    """

    value: tf.Tensor
    slopes: tf.Tensor | None = None
    bend: tf.Tensor | None = None
    root: tuple[str, Jet] | None = None

    @property
    def full_slopes(self) -> tf.Tensor:
        """``[D, *value]``, with every axis written out."""
        shape = [dims(self.slopes)[0], *dims(self.value)]
        return self.slopes if _is(self.slopes, shape) else tf.broadcast_to(self.slopes, shape)

    @property
    def full_bend(self) -> tf.Tensor:
        """Shaped like the value; zeros instead of None."""
        if self.bend is None:
            return tf.zeros_like(self.value)
        shape = dims(self.value)
        return self.bend if _is(self.bend, shape) else tf.broadcast_to(self.bend, shape)

    def aligned(self, rank: int) -> tf.Tensor:
        """Slopes of a tensor that is broadcast to ``rank`` axes: ones after the directions."""
        missing = rank - self.value.shape.rank
        if not missing:
            return self.slopes
        sizes = dims(self.slopes)
        return tf.reshape(self.slopes, [sizes[0], *[1] * missing, *sizes[1:]])


def _is(tensor: Any, wanted: list[Any]) -> bool:
    known = tensor.shape.rank is not None and all(isinstance(n, int) for n in wanted)
    return known and tensor.shape.as_list() == wanted


def added(a: tf.Tensor | None, b: tf.Tensor | None) -> tf.Tensor | None:
    """a + b, where None is zero."""
    return b if a is None else a if b is None else a + b


def squares(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Σ over the directions of a·b."""
    return tf.reduce_sum(tf.square(a) if a is b else a * b, 0)


def static_integers(tensor: tf.Tensor) -> np.ndarray:
    """The value of an axis or permutation.

    Raises:
        NoRuleError: only the run knows it.
    """
    value = tf.get_static_value(tensor)
    if value is None:
        raise NoRuleError("an axis that only the run knows")
    return np.asarray(value)
