"""Gradients of products and quotients that count 0·∞ as 0, of squared differences and signs: at zero, and complex.

``tf.math.xlogy`` is x·log y, so by x the derivative is log y, at x = 0, too. Only where y has no logarithm as well is
it taken as 0, so that the entropy of a probability that underflows keeps the derivative that it tends to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..registry import take_over
from .arrays import sum_to_shape_of


def _both(op: Any, upstream: tf.Tensor, by_x: Callable[[], tf.Tensor], by_y: Callable[[], tf.Tensor]) -> list[Any]:
    """The gradients by both inputs, from their slopes."""
    skipped = getattr(op, "skip_input_indices", None) or ()
    upstream = tf.convert_to_tensor(upstream)
    return [
        None if place in skipped else sum_to_shape_of(upstream * tf.math.conj(slope()), x)
        for place, (slope, x) in enumerate(zip((by_x, by_y), op.inputs, strict=True))
    ]


def _apart_from(x: tf.Tensor, y: tf.Tensor, end: float) -> tf.Tensor:
    """1, and 0 where x is 0 and y at the end of the domain."""
    return tf.cast(tf.logical_or(tf.not_equal(x, 0), tf.not_equal(y, tf.cast(end, y.dtype))), x.dtype)


@take_over("Xlogy")
def _x_log_y(op: Any, upstream: tf.Tensor) -> list[Any]:
    x, y = op.inputs
    return _both(op, upstream, lambda: tf.math.xlogy(_apart_from(x, y, 0), y), lambda: tf.math.xdivy(x, y))


@take_over("Xlog1py")
def _x_log1p_y(op: Any, upstream: tf.Tensor) -> list[Any]:
    x, y = op.inputs
    return _both(op, upstream, lambda: tf.math.xlog1py(_apart_from(x, y, -1), y), lambda: tf.math.xdivy(x, y + 1))


@take_over("Xdivy")
def _x_div_y(op: Any, upstream: tf.Tensor) -> list[Any]:
    x, y = op.inputs
    return _both(
        op,
        upstream,
        lambda: tf.math.xdivy(_apart_from(x, y, 0), y),
        lambda: -tf.math.xdivy(tf.math.xdivy(x, y), y),
    )


@take_over("MulNoNan")
def _product_without_nan(op: Any, upstream: tf.Tensor) -> list[Any]:
    """As TensorFlow's, with the conjugates."""
    x, y = op.inputs
    upstream = tf.convert_to_tensor(upstream)
    by_x = tf.math.multiply_no_nan(upstream, tf.math.conj(y))
    by_y = tf.math.multiply_no_nan(tf.math.conj(x), upstream)
    return [sum_to_shape_of(by_x, x), sum_to_shape_of(by_y, y)]


@take_over("SquaredDifference")
def _squared_difference(op: Any, upstream: tf.Tensor) -> list[Any]:
    """2 Re(u)·(x − y): of complex numbers the result is |x − y|²."""
    x, y = op.inputs
    skipped = getattr(op, "skip_input_indices", None) or ()
    upstream = tf.convert_to_tensor(upstream)
    if x.dtype.is_complex:
        upstream = tf.cast(tf.math.real(upstream), x.dtype)
    gradient = 2 * upstream * (x - y)
    return [
        None if 0 in skipped else sum_to_shape_of(gradient, x),
        None if 1 in skipped else sum_to_shape_of(-gradient, y),
    ]


@take_over("Sign")
def _sign(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """0; of complex numbers it is x/|x|, of which only what is at right angles to x changes it."""
    x = op.inputs[0]
    if not x.dtype.is_complex:
        return tf.zeros_like(x)
    sign, upstream = tf.sign(x), tf.convert_to_tensor(upstream)
    along = tf.cast(tf.math.real(tf.math.conj(sign) * upstream), x.dtype)
    return tf.math.divide_no_nan(upstream - sign * along, tf.cast(tf.abs(x), x.dtype))
