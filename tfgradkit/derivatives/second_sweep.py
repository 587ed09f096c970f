"""Second derivatives along one direction at a time, by nesting, and their sum: for functions that no rules carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from .directional import directional
from .jacobian import connections
from .problem import Problem
from .pullback import Partials, Pullback, Tensors, pullback
from .sweep.plan import PlanStep
from .sweep.seeded_products import SeededProduct, swept


@dataclass(frozen=True)
class SecondDerivatives(SeededProduct):
    """Second derivatives along seeds. Not linear, but swept in the same way.

    Attributes:
        directions: the seeds of each x, ``[D, 1 or B, *x]``; None for the unit seeds.
    """

    directions: Tensors | None = None

    def along(self, index: int, seed: tf.Tensor) -> Tensors:
        """Those of the ys, the seed being a direction of one x."""
        seeds = self.seeds(index, seed)
        tangent = [tf.zeros_like(x) if s is None else s for s, x in zip(seeds, self.problem.xs, strict=True)]
        found = directional(self.problem.call, self.problem.xs, [tangent, tangent])
        return [tf.zeros_like(y) if d is None else d for d, y in zip(found, self.likes, strict=True)]

    def repeated(self, copies: Any) -> SecondDerivatives:
        """The same, evaluated anew for the batch repeated."""
        problem = self.problem.repeat(copies)
        return _second(problem, pullback(problem.call, problem.xs), self.directions)

    def units(self, index: int, ids: Any) -> tf.Tensor:
        """The seeds by number."""
        if self.directions is None:
            return super().units(index, ids)
        return tf.gather(self.directions[index], list(ids) if isinstance(ids, range) else ids)


def summed(problem: Problem, counts: list[Any], directions: Tensors | None, reason: str) -> tuple[Pullback, Partials]:
    """The function, and for each y the sum of ∂²y/∂v² over the directions of each x; None where unconnected."""
    pull = pullback(problem.call, problem.xs)
    second = _second(problem, pull, directions)
    connected = connections(pull)
    sums: Partials = [None] * len(pull.ys)
    for index, count in enumerate(counts):
        if not any(row[index] for row in connected):
            continue
        stacked, (strategy, known, chunk, size, why) = swept(second, index, count)
        problem.log.append(PlanStep("forward", strategy, known, chunk, size, f"{reason}; {why}"))
        for i, row in enumerate(connected):
            if row[index]:
                found = tf.reduce_sum(stacked[i], 0)
                sums[i] = found if sums[i] is None else sums[i] + found
    return pull, sums


def _second(problem: Problem, pull: Pullback, directions: Tensors | None) -> SecondDerivatives:
    return SecondDerivatives(problem, pull, True, pull.product, problem.xs, pull.ys, directions=directions)
