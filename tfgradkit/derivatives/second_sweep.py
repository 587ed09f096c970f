"""Second derivatives along one direction at a time, by nesting, and their sum: for functions that no rules carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from .chunks import chunked
from .directional import directional
from .jacobian import connections
from .linear import Linear
from .plan import Step
from .point import Point
from .primitives import Partials, Pullback, Tensors, pullback
from .sweeps import choose


@dataclass(frozen=True)
class Second(Linear):
    """Second derivatives along seeds. Not linear, but swept in the same way.

    Attributes:
        directions: the seeds of each x, ``[D, 1 or B, *x]``; None for the unit seeds.
    """

    directions: Tensors | None = None

    def along(self, index: int, seed: tf.Tensor) -> Tensors:
        """Those of the ys, the seed being a direction of one x."""
        tangent = [seed if i == index else tf.zeros_like(x) for i, x in enumerate(self.point.xs)]
        found = directional(self.point.call, self.point.xs, [tangent, tangent])
        return [tf.zeros_like(y) if d is None else d for d, y in zip(found, self.likes, strict=True)]

    def repeated(self, copies: Any) -> Second:
        """The same, evaluated anew for the batch repeated."""
        point = self.point.repeat(copies)
        return Second(point, pullback(point.call, point.xs), True, self.product, directions=self.directions)

    def units(self, index: int, ids: Any) -> tf.Tensor:
        """The seeds by number."""
        if self.directions is None:
            return super().units(index, ids)
        return tf.gather(self.directions[index], list(ids) if isinstance(ids, range) else ids)


def swept(point: Point, counts: list[Any], directions: Tensors | None, reason: str) -> tuple[Pullback, Partials]:
    """The function, and for each y the sum of ∂²y/∂v² over the directions of each x; None where unconnected."""
    pull = pullback(point.call, point.xs)
    second = Second(point, pull, True, pull.product, directions=directions)
    connected = connections(pull)
    sums: Partials = [None] * len(pull.ys)
    for index, count in enumerate(counts):
        if not any(row[index] for row in connected):
            continue
        stacked, (strategy, known, chunk, size, why) = chunked(second, index, count, choose(second, count))
        point.log.append(Step("forward", strategy, known, chunk, size, f"{reason}; {why}"))
        for i, row in enumerate(connected):
            if row[index]:
                found = tf.reduce_sum(stacked[i], 0)
                sums[i] = found if sums[i] is None else sums[i] + found
    return pull, sums
