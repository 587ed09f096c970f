"""Each operator as a few lines over the primitives, for one input and one output.

Every function takes a :class:`Point` and returns its parts by name, the value among them: the
twins pick what they need, and TensorFlow prunes the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import tensorflow as tf

from ..differentiable import TensorFunction, shape_text
from ..errors import GradientError, SignatureError
from .primitives import Product, pullback, transposed
from .shapes import dims, scalar_valued, size, split
from .strategy import Mode, Strategy, Unconnected, map_seeds, pick_mode

Parts = dict[str, tf.Tensor | None]


@dataclass(frozen=True)
class Point:
    """Where and how a derivative is taken."""

    f: TensorFunction
    x: tf.Tensor
    name: str
    batched: bool
    seed: tf.Tensor | None = None
    mode: Mode = "auto"
    strategy: Strategy = "auto"
    unconnected: Unconnected = "zero"
    inlined: bool = False

    def scalar(self, operator: str) -> Point:
        """The same point of a function whose results have no axis but the batch's."""
        return replace(self, f=scalar_valued(self.f, self.x, self.batched, operator, self.name))

    def filled(self, derivative: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor | None:
        """``derivative``, or what the caller wants where there is no connection."""
        if derivative is not None:
            return derivative
        if self.unconnected == "raise":
            raise GradientError(
                "the output does not depend on the input",
                subject=self.name,
                hint='unconnected="zero" for zeros, "none" for None',
            )
        return None if self.unconnected == "none" else tf.zeros_like(like)


def value(point: Point) -> Parts:
    """y."""
    return {"value": tf.identity(point.f(point.x))}


def vjp(point: Point) -> Parts:
    """uᵀJ, shaped like x."""
    y, pull = pullback(point.f, point.x)
    seed = tf.cast(point.seed, y.dtype)
    fit(seed, y, "output_gradients", point.name)
    return {"value": y, "vjp": point.filled(pull(seed), point.x)}


def jvp(point: Point) -> Parts:
    """Jv, shaped like y."""
    y, pull = pullback(point.f, point.x)
    return {"value": y, "jvp": point.filled(transposed(pull, y)(point.seed), y)}


def gradient(point: Point) -> Parts:
    """∇f of a scalar-valued f, shaped like x."""
    point = point.scalar("gradient")
    y, product = pullback(point.f, point.x)
    return {"value": y, "gradient": point.filled(product(tf.ones_like(y)), point.x)}


def hvp(point: Point) -> Parts:
    """(∇²f) v of a scalar-valued f, shaped like x: the gradient of ⟨∇f, v⟩."""
    kept: Parts = {}
    point = point.scalar("hvp")
    _, pull = pullback(_keeping(gradient, "gradient", point, kept), point.x)
    if kept["gradient"] is None:
        return {**kept, "hvp": None}
    return {**kept, "hvp": _or_zeros(pull(point.seed), point.x)}


def jacobian(point: Point) -> Parts:
    """J, shaped y + x after the batch axis."""
    y, pull = pullback(point.f, point.x)
    return {"value": y, "jacobian": _jacobian_of(y, pull, point)}


def hessian(point: Point) -> Parts:
    """∂²y/∂x², shaped y + x + x after the batch axis; without y for a scalar-valued f."""
    kept: Parts = {}
    slope, pull = pullback(_keeping(_slope, "slope", point, kept), point.x)
    if kept["slope"] is None:
        return {"value": kept["value"], "gradient": None, "hessian": None}
    second = _jacobian_of(slope, pull, replace(point, unconnected="zero"))
    return {"value": kept["value"], "gradient": slope, "hessian": second}


OPERATORS: dict[str, Callable[[Point], Parts]] = {
    rule.__name__: rule for rule in (value, jacobian, vjp, jvp, gradient, hessian, hvp)
}


def fit(seed: tf.Tensor, like: tf.Tensor, role: str, name: str) -> None:
    """Raises :class:`SignatureError` where a seed has another shape than what it belongs to."""
    if not like.shape.is_compatible_with(seed.shape):
        raise SignatureError(
            f"{role} has the wrong shape",
            subject=name,
            expected=f"{shape_text(like.shape)}, like the {'argument' if role == 'tangents' else 'result'}",
            got=shape_text(seed.shape),
        )


def _keeping(rule: Callable[[Point], Parts], key: str, point: Point, kept: Parts) -> TensorFunction:
    """``rule``'s part ``key`` as a function of x; the other parts go into ``kept``."""

    def call(x: tf.Tensor) -> tf.Tensor:
        kept.update(rule(replace(point, x=x)))
        return _or_zeros(kept[key], x)

    return call


def _slope(point: Point) -> Parts:
    """The first derivative of any f: its gradient if it is scalar-valued, else its Jacobian."""
    y, pull = pullback(point.f, point.x)
    scalar = split(y, point.batched)[1] in ([], [1] if point.batched else [])
    first = (
        point.filled(pull(tf.ones_like(y)), point.x) if scalar else _jacobian_of(y, pull, replace(point, mode="auto"))
    )
    return {"value": tf.reshape(y, split(y, point.batched)[0]) if scalar else y, "slope": first}


def _jacobian_of(y: tf.Tensor, pull: Product, point: Point) -> tf.Tensor | None:
    """All rows (reverse) or all columns (forward) of J: [B, *y, *x]."""
    batch, outputs = split(y, point.batched)
    inputs = split(point.x, point.batched)[1]
    shape = batch + outputs + inputs
    if pull(tf.zeros_like(y)) is None:
        return point.filled(None, tf.zeros(shape, y.dtype))
    forward = pick_mode(point.mode, size(inputs), size(outputs)) == "forward"
    try:
        product, along = (transposed(pull, y), point.x) if forward else (pull, y)
    except GradientError:
        if point.mode != "auto":
            raise
        forward, product, along = False, pull, y
    stacked = map_seeds(
        lambda seed: _or_zeros(product(tf.broadcast_to(seed, dims(along))), y if forward else point.x),
        _units(along, point),
        point.strategy,
        inlined=point.inlined,
    )
    # TensorFlow's gradient of a complex function is the conjugate; the Jacobian is that in both modes.
    stacked = tf.math.conj(stacked) if forward and y.dtype.is_complex else stacked
    block = _seeds_to_last(stacked, point) if forward else _seeds_to_front(stacked, point)
    # Where x and y differ in dtype, so do the two modes; the result has that of y.
    return tf.cast(tf.reshape(block, shape), y.dtype)


def _or_zeros(derivative: tf.Tensor | None, like: tf.Tensor) -> tf.Tensor:
    return tf.zeros_like(like) if derivative is None else derivative


def _units(tensor: tf.Tensor, point: Point) -> tf.Tensor:
    sample = split(tensor, point.batched)[1]
    # The leading 1 is the batch axis: a unit is the same for every sample.
    return tf.reshape(
        tf.eye(size(sample), dtype=tensor.dtype), [size(sample), *([1] if point.batched else []), *sample]
    )


def _seeds_to_front(stacked: tf.Tensor, point: Point) -> tf.Tensor:
    """[seeds, B, …] → [B, seeds, …]"""
    rank = stacked.shape.rank
    return tf.transpose(stacked, [1, 0, *range(2, rank)]) if point.batched else stacked


def _seeds_to_last(stacked: tf.Tensor, point: Point) -> tf.Tensor:
    """[seeds, B, …] → [B, …, seeds]"""
    return tf.transpose(stacked, [*range(1, stacked.shape.rank), 0])
