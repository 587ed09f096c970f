"""Smooth functions that TensorFlow and Keras build of kinked ones or of branches, here exact in every order.

``max(x, y) + log1p(exp(−|x − y|))`` is smooth, and its parts are not: where x = y, the derivatives of the parts don't
add up to that of the whole. Here each branch is the whole function, so that it doesn't matter which one is chosen.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from .ops.bessel import polynomial

# sin(u)/u = Σ (−u²)ᵏ/(2k+1)!, to rounding for |u| < 1.
_SINC = [1 / math.factorial(2 * k + 1) for k in range(11)]


def sinc(x: tf.Tensor) -> tf.Tensor:
    """sin(πx)/(πx), at 0 by its series."""
    u = x * tf.constant(math.pi, x.dtype)
    near = tf.abs(u) < 1
    inside, outside = tf.where(near, u, tf.zeros([], x.dtype)), tf.where(near, tf.ones([], x.dtype), u)
    return tf.where(near, polynomial(_SINC, -inside * inside), tf.sin(outside) / outside)


def logaddexp(x1: tf.Tensor, x2: tf.Tensor, base: float = math.e) -> tf.Tensor:
    """log(baseˣ + baseʸ), to this base: the larger number plus a softplus."""
    difference = x1 - x2
    undefined = tf.math.is_nan(difference)  # NaN, and infinities of the same sign
    difference = tf.where(undefined, tf.zeros([], x1.dtype), difference)
    first = difference > 0
    rest = softplus(tf.where(first, -difference, difference), math.log(base))
    return tf.where(undefined, x1 + x2, tf.where(first, x1, x2) + rest)


def softplus(x: tf.Tensor, log_base: float = 1.0) -> tf.Tensor:
    """log(1 + baseˣ), to this base."""
    if log_base == 1.0:
        return tf.math.softplus(x)
    return tf.math.softplus(x * tf.constant(log_base, x.dtype)) / tf.constant(log_base, x.dtype)


def hypot(x1: tf.Tensor, x2: tf.Tensor) -> tf.Tensor:
    """√(x₁² + x₂²) without overflow; where both are 0, which is a kink, the derivative is 0."""
    kinked = tf.abs(x1) + tf.abs(x2)
    scale = tf.stop_gradient(tf.maximum(tf.abs(x1), tf.abs(x2)))
    ordinary = tf.logical_and(tf.math.is_finite(kinked), scale > 0)
    one = tf.ones([], x1.dtype)
    scale = tf.where(ordinary, scale, one)
    x1, x2 = (tf.where(ordinary, x / scale, one) for x in (x1, x2))
    return tf.where(ordinary, scale * tf.sqrt(x1 * x1 + x2 * x2), kinked)


def ldexp(x1: tf.Tensor, x2: tf.Tensor) -> tf.Tensor:
    """x·2ⁿ, n whole numbers."""
    product = x1 * tf.pow(tf.constant(2.0, x1.dtype), x2)
    return tf.where(tf.math.is_inf(x1), x1, product)


def celu(x: tf.Tensor, alpha: Any = 1.0) -> tf.Tensor:
    """x, and below zero α (exp(x/α) − 1)."""
    above = x > 0
    below = tf.where(above, tf.zeros([], x.dtype), x)
    alpha = tf.cast(alpha, x.dtype)
    return tf.where(above, x, alpha * tf.math.expm1(below / alpha))


def silu(x: tf.Tensor, beta: Any = 1.0) -> tf.Tensor:
    """x·sigmoid(βx)."""
    return x * tf.sigmoid(tf.cast(beta, x.dtype) * x)


def weighted_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, weight: Any) -> tf.Tensor:
    """(1 − z) x + (1 + (q − 1) z) log(1 + exp(−x)): of logits x, labels z and the weight q of positive ones."""
    return (1 - labels) * logits + (1 + (weight - 1) * labels) * tf.math.softplus(-logits)
