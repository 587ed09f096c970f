"""The two products everything else is made of.

``pullback`` is reverse mode: one evaluation, then any number of uᵀJ. ``transposed`` makes forward
mode of it: uᵀJ is linear in u, so its own reverse derivative is Jv
(J. Townsend, "A new trick for calculating Jacobian vector products", 2017). Unlike
``tf.autodiff.ForwardAccumulator`` it needs no rules but the registered gradients, and it honours
``tf.custom_gradient``. Griewank & Walther, "Evaluating Derivatives", 2nd ed., ch. 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from ..errors import GradientError
from ..graph.dependence import LOOPS, added, between, sample_bytes
from ..op_gradients import ops as _rules  # noqa: F401  registers what second order and forward mode need
from ..op_gradients.refused_gradients import refuse_nonlinear, refuse_silent

Tensors = list[tf.Tensor]
# None where there is no connection; in a seed, where it is zero.
Partials = list[tf.Tensor | None]
Product = Callable[[Sequence[tf.Tensor | None]], Partials]


@dataclass(frozen=True)
class Pullback:
    """A function evaluated once, ready for products.

    Attributes:
        ys: its results.
        product: ``us ↦ Σ uᵀ ∂y/∂x`` for each x, None where no y depends on it.
        loops: whether the way from x to y leads through a loop.
        sample_bytes: of all intermediate results on that way.
    """

    ys: Tensors
    product: Product
    loops: bool = False
    sample_bytes: int = 0


def pullback(f: Callable[[Tensors], Tensors], xs: Tensors, *, linear: bool = True) -> Pullback:
    """``f`` at ``xs``, which may be variables; f then reads them itself.

    ``linear`` says that the products are to be linear in u, as those with a Jacobian are.

    Raises:
        GradientError: an op on the way would be left out in silence, or is not linear where it has to be.
    """
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(xs)
        results, operations = added(f, xs)
        ys = [_separate(y, xs) for y in results]
    operations = between(operations, xs, ys)
    refuse_silent(operations)
    if linear:
        refuse_nonlinear(operations)

    def product(us: Sequence[tf.Tensor | None]) -> Partials:
        return contracted(tape, ys, xs, us)

    loops = any(operation.type in LOOPS for operation in operations)
    return Pullback(ys, product, loops, sample_bytes(operations))


def transposed(pull: Pullback) -> Product:
    """``vs ↦ Σ (∂y/∂x) v`` for each y, from the ``pullback`` of f, without evaluating f again.

    Raises:
        GradientError: an op of the gradient would be left out in silence.
    """
    with tf.GradientTape(persistent=True) as tape:
        # Any us will do, since the product is linear in them; they have to be watched before they are used.
        us = [tf.zeros_like(y) for y in pull.ys]
        tape.watch(us)
        linear, operations = added(pull.product, us)
    refuse_silent(between(operations, us, linear))

    def product(vs: Sequence[tf.Tensor | None]) -> Partials:
        return contracted(tape, linear, us, vs)

    return product


def contracted(tape: tf.GradientTape, ys: Partials, xs: Tensors, us: Sequence[tf.Tensor | None]) -> Partials:
    """Σ uᵀ ∂y/∂x for each x, from what ``tape`` has seen; None where there is no connection."""
    given = [(y, u) for y, u in zip(ys, us, strict=True) if y is not None and u is not None]
    if not given:
        return [None] * len(xs)
    targets, seeds = zip(*given, strict=True)
    try:
        return [_dense(g) for g in tape.gradient(list(targets), xs, output_gradients=list(seeds))]
    except (LookupError, NotImplementedError) as error:
        # LookupError for an op without a rule, NotImplementedError from tf.recompute_grad.
        raise GradientError(
            "an op on the way has no gradient, or its gradient has none",
            got=str(error).strip().split("\n", 1)[0],
            hint="tgk.register_gradient, to give the op one; another op; or tf.custom_gradient around the calculation",
        ) from error


def _separate(y: tf.Tensor, xs: Tensors) -> tf.Tensor:
    """A function may return its argument itself; the tape then needs a tensor of its own."""
    return tf.identity(y) if any(y is x for x in xs) else y


def _dense(gradient: tf.Tensor | tf.IndexedSlices | None) -> tf.Tensor | None:
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
