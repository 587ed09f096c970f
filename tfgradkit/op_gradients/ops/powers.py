"""Gradients of powers and of what is squared: exact at zero, to every order.

x^y has the slope y·x^(y−1), which is 0·∞ where both are zero: every polynomial meets that in one order or another.

The derivative of |x|, and that of √x, has no value at 0; that of |x|² has. Where a square is taken, the gradient that
goes down is a product with the root as a factor; the root's own rule cancels it against its slope before there is 0/0,
or a sign that the next order would lose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..registry import SHIPPED, take_over
from .arrays import sum_to_shape_of

# An attribute of a gradient: (a, r), where the gradient is r()·conj(a).
_FACTOR = "_tfgradkit_factor"
Formula = Callable[[tf.Tensor], tf.Tensor]
_ROOTS = frozenset({"Abs", "ComplexAbs", "Sqrt"})


@take_over("Pow")
def _power(op: Any, upstream: tf.Tensor) -> list[Any]:
    """By the base y·x^(y−1), by the exponent x^y log x; at x = 0 the latter is 0.

    Complex ones are conjugated as a whole: the conjugate of a negative x lies on the other side of the cut.
    """
    x, y = op.inputs
    upstream = tf.convert_to_tensor(upstream)
    skipped = getattr(op, "skip_input_indices", None) or ()
    by_x = by_y = None
    if 0 not in skipped:
        slope = tf.math.conj(_slope(x, y))
        by_x = sum_to_shape_of(upstream * slope if _is_finite_at_zero(y) else _times_slope(upstream, slope), x)
        by_x = _with_root(by_x, x, y, upstream)
    if 1 not in skipped:
        by_y = sum_to_shape_of(upstream * tf.math.conj(op.outputs[0] * _logarithm(x)), y)
    return [by_x, by_y]


def _is_finite_at_zero(y: tf.Tensor) -> bool:
    """Whether the slope of x^y is finite wherever x is: for a constant of at least 1, or 0."""
    known = _static(y)
    return known is not None and bool(np.all((np.real(known) >= 1) | (known == 0)))


def _times_slope(upstream: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """The product, 0 where ``upstream`` is: other elements' derivatives know nothing of a slope that is infinite here.

    As a product with what is constant in ``upstream``, so that its transpose says the same.
    """
    return upstream * slope if slope.dtype.is_complex else tf.math.multiply_no_nan(slope, upstream)


def _slope(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """y·x^(y−1); 0 where both are 0."""
    known = _static(y)
    if known is not None and np.all(known != 0):
        # A constant is known to the next order, too.
        return y * _powered(x, tf.constant(known - 1, y.dtype))
    both = tf.logical_and(tf.equal(x, 0), tf.equal(y, 0))
    return y * _powered(x, y - tf.where(both, tf.zeros([], y.dtype), tf.ones([], y.dtype)))


def _powered(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """x^y, where TensorFlow's kernel says that the complex 0^0 is not a number."""
    if not x.dtype.is_complex:
        return tf.pow(x, y)
    both, one = tf.logical_and(tf.equal(x, 0), tf.equal(y, 0)), tf.ones([], x.dtype)
    return tf.where(both, one, tf.pow(tf.where(both, one, x), y))


def _static(y: tf.Tensor) -> Any:
    """The value of a constant of the graph."""
    return None if _is_eager(y) else tf.get_static_value(y)


def _logarithm(x: tf.Tensor) -> tf.Tensor:
    """log x; 0 where a real one has none."""
    inside = tf.not_equal(x, 0) if x.dtype.is_complex else x > 0
    return tf.where(inside, tf.math.log(tf.where(inside, x, tf.ones([], x.dtype))), tf.zeros([], x.dtype))


@take_over("Square")
def _square(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    x = op.inputs[0]
    upstream = tf.convert_to_tensor(upstream)
    return _with_root(upstream * (tf.constant(2.0, x.dtype) * tf.math.conj(x)), x, None, upstream)


def _with_root(gradient: tf.Tensor, x: tf.Tensor, y: Any, upstream: tf.Tensor) -> tf.Tensor:
    """``gradient``, that of an even power of x, with the factor x written down where x may be a root."""
    if not (_is_eager(x) or x.op.type in _ROOTS) or not is_even(y):
        return gradient
    exponent = 2.0 if y is None else float(np.real(tf.get_static_value(y)))

    def rest() -> tf.Tensor:
        """The gradient without that factor."""
        if exponent == 2:
            return 2 * upstream
        return exponent * upstream * tf.pow(tf.math.conj(x), tf.constant(exponent - 2, x.dtype))

    setattr(gradient, _FACTOR, (x, rest))
    return gradient


def _is_eager(x: Any) -> bool:
    return isinstance(x, tf.__internal__.EagerTensor)


def is_even(y: Any) -> bool:
    """Whether y is a constant that is a positive even number; None stands for 2."""
    if y is None:
        return True
    known = tf.get_static_value(y)
    return known is not None and np.ndim(known) == 0 and known.real > 0 and known % 2 == 0


def _by_root(op: Any, upstream: tf.Tensor, plain: Formula, exact: Formula, others_by: Formula | None = None) -> Any:
    """The gradient of a root: ``exact`` of the r of terms of ``upstream`` that are r·y, ``others_by`` of the others.

    ``plain`` where there are no such terms; it stands for ``others_by``, too.

    A gradient comes as a sum where a root is used several times, and in a function that is called, whose
    intermediate results are results, too.
    """
    rests, others = [], []
    for term in _terms(upstream):
        rest = _without_root(term, op)
        if rest is None:
            others.append(term)
        else:
            rests.append(rest)
    if not rests:
        return plain(upstream)
    found = exact(_sum(rests))
    return found + (others_by or plain)(_sum(others)) if others else found


def _terms(upstream: Any) -> list[tf.Tensor]:
    """The terms of a sum of gradients of a graph."""
    if isinstance(upstream, tf.IndexedSlices) or _is_eager(upstream) or upstream.op.type != "AddN":
        return [upstream]
    return [term for given in upstream.op.inputs for term in _terms(given)]


def _sum(terms: list[tf.Tensor]) -> tf.Tensor:
    return terms[0] if len(terms) == 1 else tf.add_n(terms)


def _without_root(term: Any, op: Any) -> tf.Tensor | None:
    """r where a term is r·y, of what ``op`` gave: as it was written down, or by the product that made the term."""
    factor, rest = getattr(term, _FACTOR, (None, None))
    if rest is not None and factor is not None and _is_result(factor, op):
        found: tf.Tensor = rest()
        return found
    if isinstance(term, tf.IndexedSlices) or _is_eager(term) or term.op.type != "Mul":
        return None
    for y, other in (term.op.inputs, reversed(term.op.inputs)):
        if other.shape == term.shape and other.shape.is_fully_defined() and _is_result(_outside(y), op):
            return other
    return None


def _outside(y: tf.Tensor) -> tf.Tensor:
    """What a graph of gradients has captured: it has placeholders of its own for results of the graph before it."""
    while not _is_eager(y) and y.op.type == "Placeholder":
        outer = next((outer for outer, inner in getattr(y.graph, "captures", ()) if inner is y), None)
        if outer is None:
            break
        y = outer
    return y


def _is_result(y: tf.Tensor, op: Any) -> bool:
    """Whether y is what ``op`` gave; for absolute values an eager tape has kept the input alone."""
    if op.type != "Abs":
        return y is op.outputs[0] or (not _is_eager(y) and y.ref() == op.outputs[0].ref())
    x = op.inputs[0]
    if not _is_eager(y):
        return y.op.type == "Abs" and y.op.inputs[0] is x
    return y.shape == x.shape and bool(tf.reduce_all(tf.equal(y, tf.abs(x))))


@take_over("Abs")
def _absolute(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """u·sign(x), and r·x for u = r·|x|."""
    x = op.inputs[0]
    return _by_root(op, upstream, lambda u: u * tf.sign(x), lambda rest: rest * x)


@take_over("ComplexAbs")
def _complex_absolute(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """u·x/|x|, and r·x for u = r·|x|."""
    x, y = op.inputs[0], op.outputs[0]

    def times_x(u: tf.Tensor) -> tf.Tensor:
        return tf.complex(u, tf.zeros_like(u)) * x

    def plain(u: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(times_x(tf.convert_to_tensor(u)), tf.complex(y, tf.zeros_like(y)))

    return _by_root(op, upstream, plain, times_x)


@take_over("Sqrt")
def _square_root(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """u/(2√x), and r/2 for u = r·√x."""
    y = op.outputs[0]

    def rest_of_sum(u: tf.Tensor) -> tf.Tensor:
        """Where the other terms are zero, as for results that nobody has used, they add nothing at 0 either."""
        nothing = tf.logical_and(tf.equal(y, 0), tf.equal(u, 0))
        return tf.raw_ops.SqrtGrad(y=tf.where(nothing, tf.ones([], y.dtype), y), dy=u)

    def plain(u: tf.Tensor) -> tf.Tensor:
        return u / (2 * tf.math.conj(y)) if y.dtype.is_complex else tf.raw_ops.SqrtGrad(y=y, dy=u)

    return _by_root(op, upstream, plain, lambda rest: rest / 2, None if y.dtype.is_complex else rest_of_sum)


@take_over("Rsqrt", "Reciprocal", "Inv")
def _inverse(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """−u conj(y³)/2 and −u conj(y²) of complex numbers, whose conjugate XLA's own kernels leave out."""
    y = op.outputs[0]
    if not y.dtype.is_complex:
        return SHIPPED[op.type].replaces(op, upstream)
    return -upstream * tf.math.conj(y * y * y / 2 if op.type == "Rsqrt" else y * y)
