"""The divergence Σ ∂yᵢ/∂xᵢ, from one pass for each element of x, each of which leaves one number a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..arguments import shape_text
from ..errors import SignatureError
from .chunks import chunked
from .first_order import Parts
from .jacobian import connections
from .linear import Linear, linearized
from .plan import Step
from .point import Point, or_zeros
from .primitives import Tensors, pullback
from .shapes import dims
from .sweeps import choose, passes


@dataclass(frozen=True)
class Diagonal(Linear):
    """Products whose element that was seeded alone is kept."""

    @property
    def likes(self) -> Tensors:
        """One number a sample."""
        x = self.point.xs[0]
        return [tf.zeros(dims(x)[:1] if self.point.batched else [], x.dtype)]

    def along(self, index: int, seed: tf.Tensor) -> Tensors:
        """∂yᵢ/∂xᵢ, where the seed is the unit vector i."""
        seeds = [seed if i == index else None for i in range(len(self.point.xs))]
        result = or_zeros(self.product(seeds)[index], seed)
        return [tf.reduce_sum(result * tf.cast(seed, result.dtype), _sample_axes(result, self.point.batched))]

    def repeated(self, copies: Any) -> Diagonal:
        """The same, evaluated anew for the batch repeated."""
        return _diagonal(linearized(self.point.repeat(copies), self.forward))


def divergence(point: Point) -> Parts:
    """Σ ∂yᵢ/∂xᵢ over all elements, ``[B]``, or a scalar where not batched."""
    pull = pullback(point.call, point.xs)
    _check_like(point, pull.ys)
    connected = connections(pull)
    linear = _diagonal(linearized(point, point.options.mode != "reverse", pull))
    total: Any = None
    for index in range(len(point.xs)):
        if connected[index][index]:
            count = passes(linear, index)
            (stacked,), facts = chunked(linear, index, count, choose(linear, count))
            point.log.append(Step("forward" if linear.forward else "reverse", *facts))
            found = tf.cast(tf.reduce_sum(stacked, 0), pull.ys[0].dtype)
            total = found if total is None else total + found
    like = linear.likes[0]
    return {"value": pull.ys, "divergence": point.filled(total, lambda: tf.cast(like, pull.ys[0].dtype))}


def _diagonal(linear: Linear) -> Diagonal:
    return Diagonal(linear.point, linear.pull, linear.forward, linear.product)


def _sample_axes(tensor: tf.Tensor, batched: bool) -> list[int]:
    return list(range(1 if batched else 0, tensor.shape.rank))


def _check_like(point: Point, ys: Tensors) -> None:
    shapes = [[t.shape for t in tensors] for tensors in (point.xs, ys)]
    if len(ys) != len(point.xs) or not all(y.is_compatible_with(x) for x, y in zip(*shapes, strict=True)):
        expected, got = (", ".join(map(shape_text, each)) for each in shapes)
        raise SignatureError(
            "divergence needs a result shaped like what is differentiated by",
            subject=point.name,
            expected=expected,
            got=got,
            hint="jacobian for other shapes; laplacian for the divergence of a gradient",
        )
