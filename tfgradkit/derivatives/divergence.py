"""The divergence Σ ∂yᵢ/∂xᵢ, from one pass for each element of x, each of which leaves one number a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..arguments import dims, shape_text
from ..errors import SignatureError
from .first_order import Parts
from .jacobian import connections
from .problem import Problem
from .pullback import Tensors, bilinear, or_zeros, pullback
from .sweep.plan import PlanStep
from .sweep.seeded_products import SeededProduct, linearized, swept


@dataclass(frozen=True)
class Diagonal(SeededProduct):
    """Products whose element that was seeded alone is kept: one number a sample."""

    def along(self, index: int, seed: tf.Tensor) -> Tensors:
        """∂yᵢ/∂xᵢ, where the seed is the unit vector i."""
        seeds = self.seeds(index, seed)
        # A real seed is its own conjugate; TensorFlow's gradients multiply by the conjugate of a complex Jacobian.
        found = self.product(seeds)[index] if self.forward else bilinear(self.product, seeds)[index]
        result = or_zeros(found, seeds[index])
        return [tf.reduce_sum(result * tf.cast(seed, result.dtype), _sample_axes(result, self.problem.batched))]

    def repeated(self, copies: Any) -> Diagonal:
        """The same products for the batch repeated, evaluated anew."""
        return _diagonal(linearized(self.problem.repeat(copies), self.forward))


def divergence(problem: Problem) -> Parts:
    """Σ ∂yᵢ/∂xᵢ over all elements, ``[B]``, or a scalar where not batched."""
    pull = pullback(problem.call, problem.xs)
    _check_like(problem, pull.ys)
    connected = connections(pull)
    product = _diagonal(linearized(problem, problem.options.mode != "reverse", pull))
    total: Any = None
    for index in range(len(problem.xs)):
        if connected[index][index]:
            (stacked,), facts = swept(product, index)
            problem.log.append(PlanStep("forward" if product.forward else "reverse", *facts))
            found = tf.cast(tf.reduce_sum(stacked, 0), pull.ys[0].dtype)
            total = found if total is None else total + found
    like = product.likes[0]
    return {"value": pull.ys, "divergence": problem.filled(total, lambda: tf.cast(like, pull.ys[0].dtype))}


def _diagonal(product: SeededProduct) -> Diagonal:
    x = product.problem.xs[0]
    numbers = tf.zeros(dims(x)[:1] if product.problem.batched else [], x.dtype)
    return Diagonal(product.problem, product.pull, product.forward, product.product, product.seeded, [numbers])


def _sample_axes(tensor: tf.Tensor, batched: bool) -> list[int]:
    return list(range(1 if batched else 0, tensor.shape.rank))


def _check_like(problem: Problem, ys: Tensors) -> None:
    shapes = [[t.shape for t in tensors] for tensors in (problem.xs, ys)]
    if len(ys) != len(problem.xs) or not all(y.is_compatible_with(x) for x, y in zip(*shapes, strict=True)):
        expected, got = (", ".join(map(shape_text, each)) for each in shapes)
        raise SignatureError(
            "divergence needs a result shaped like what is differentiated by",
            subject=problem.name,
            expected=expected,
            got=got,
            hint="jacobian for other shapes; laplacian for the divergence of a gradient",
        )
