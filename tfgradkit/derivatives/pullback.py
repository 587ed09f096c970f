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
from functools import partial
from typing import Any

import tensorflow as tf

from ..errors import GradientError
from ..graph.dependence import between, sample_bytes
from ..graph.interpret import added
from ..graph.ops import LOOPS
from ..op_gradients import ops as _rules  # noqa: F401  registers what second order and forward mode need
from ..op_gradients.refused_gradients import SILENT_OPS, refuse_nonlinear, refuse_silent

Tensors = list[tf.Tensor]
# None stands for no connection; in a seed, for zero.
Partials = list[tf.Tensor | None]
Product = Callable[[Sequence[tf.Tensor | None]], Partials]

# By op type, whether such an op has to be looked at before a derivative goes through it.
_noteworthy: dict[str, bool] = {}


@dataclass(frozen=True)
class Pullback:
    """A function evaluated once, ready for products.

    Attributes:
        ys: its results.
        product: ``us ↦ Σ uᵀ ∂y/∂x`` for each x, None where no y depends on it.
        count_bytes: counts the bytes of all intermediate results on the way from x to y, for one sample.
        loops: whether the way from x to y leads through a loop.
        aux: the second result of the function, with ``has_aux``.
    """

    ys: Tensors
    product: Product
    count_bytes: Callable[[], int]
    loops: bool = False
    aux: Any = None


def pullback(f: Callable[[Tensors], Any], xs: Tensors, *, linear: bool = True, has_aux: bool = False) -> Pullback:
    """``f`` at ``xs``, which may be variables; f then reads them itself.

    ``linear`` says that the products are to be linear in u, as those with a Jacobian are; ``has_aux``, that f
    returns a pair of its results and something else.

    Raises:
        GradientError: an op on the way would be left out in silence, or is not linear where it has to be.
    """
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(xs)
        results, operations = added(f, xs)
        results, aux = results if has_aux else (results, None)
        # A function may return its argument itself; the tape then needs a tensor of its own.
        ys, given = list(results), set(map(id, xs))
        for i, y in enumerate(ys):
            ys[i] = tf.identity(y) if id(y) in given else y
    product = partial(contracted, tape, ys, xs)
    if not any(map(_is_noteworthy, operations)):
        return Pullback(ys, product, partial(_count_bytes, operations, xs, ys), aux=aux)
    leading = between(operations, xs, ys)
    refuse_silent(leading)
    if linear:
        refuse_nonlinear(leading)
    loops = any(operation.type in LOOPS for operation in leading)
    known = sample_bytes(leading)  # counted at once, since a gradient will add results to loops and called functions
    return Pullback(ys, product, lambda: known, loops, aux)


def transposed(pull: Pullback) -> Product:
    """``vs ↦ Σ (∂y/∂x) v`` for each y, from the ``pullback`` of f, without evaluating f again.

    Raises:
        GradientError: an op of the gradient would be left out in silence.
    """
    return transpose(pull.product, pull.ys)


def transpose(product: Callable[[Tensors], Partials], like: Tensors) -> Product:
    """The transpose of ``product``, which is linear in seeds shaped ``like``: seeds of its results to theirs.

    Raises:
        GradientError: an op on the way would be left out in silence.
    """
    with tf.GradientTape(persistent=True) as tape:
        us = list(map(any_seed, like))
        tape.watch(us)
        results, operations = added(product, us)
    if any(map(_is_noteworthy, operations)):
        refuse_silent(between(operations, us, results))
    return partial(contracted, tape, results, us)


def any_seed(y: tf.Tensor) -> tf.Tensor:
    """A seed for a product that is linear in it, so that any will do; to be watched before it is used.

    Not zero, by which some of TensorFlow's gradients divide, and which others leave out. Small, so that a rule that
    clips large gradients lets it through.
    """
    return tf.ones_like(y) * tf.constant(2.0**-6, y.dtype)


def contracted(
    tape: tf.GradientTape, ys: Sequence[tf.Tensor | None], xs: Tensors, us: Sequence[tf.Tensor | None]
) -> Partials:
    """Σ uᵀ ∂y/∂x for each x, from what ``tape`` has seen; None where there is no connection."""
    targets, seeds = [], []
    for y, u in zip(ys, us, strict=True):
        if y is not None and u is not None:
            targets.append(y)
            seeds.append(u)
    if not targets:
        return [None] * len(xs)
    try:
        gradients = tape.gradient(targets, xs, output_gradients=seeds)
    except (LookupError, NotImplementedError) as error:
        # LookupError for an op without a rule, NotImplementedError from tf.recompute_grad.
        raise without_gradient(error) from error
    for place, gradient in enumerate(gradients):
        if isinstance(gradient, tf.IndexedSlices):
            gradients[place] = tf.convert_to_tensor(gradient)
    return gradients


def without_gradient(error: BaseException, subject: str | None = None) -> GradientError:
    """What TensorFlow's exception for an op without a gradient is here."""
    return GradientError(
        "an op on the way has no gradient, or its gradient has none",
        subject=subject,
        got=str(error).strip().split("\n", 1)[0].partition(". In general")[0],
        hint="tgk.register_gradient, to give the op one; another op; or tf.custom_gradient around the calculation",
    )


def bilinear(product: Product, seeds: Sequence[tf.Tensor | None]) -> Partials:
    """uᵀJ of ``product``, without a conjugate: TensorFlow's gradients multiply by that of a complex Jacobian.

    So that Re(uᵀJ v) is Re(u · Jv), and a holomorphic function has its complex derivative.
    """
    return _conjugated(product(_conjugated(seeds)))


def _conjugated(tensors: Sequence[tf.Tensor | None]) -> Partials:
    return [t if t is None or not t.dtype.is_complex else tf.math.conj(t) for t in tensors]


def or_zeros(derivative: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor:
    """``derivative``, zeros where there is no connection."""
    if derivative is None:
        return tf.zeros_like(like)
    # Inside a loop of the graph a gradient may have lost its shape.
    derivative.set_shape(like.shape if derivative.shape.rank is None else derivative.shape)
    return derivative


def _count_bytes(operations: Sequence[Any], xs: Sequence[Any], ys: Tensors) -> int:
    return sample_bytes(between(operations, xs, ys))


def _is_noteworthy(operation: Any) -> bool:
    """Whether an op may be refused, is a loop, or calls functions, in which there may be such ops."""
    kind = operation.type
    if kind not in _noteworthy:
        takes = {attribute.type for attribute in operation.op_def.attr}
        named = kind in SILENT_OPS or kind in LOOPS or kind == "IdentityN"
        _noteworthy[kind] = named or not takes.isdisjoint(("func", "list(func)"))
    return _noteworthy[kind]
