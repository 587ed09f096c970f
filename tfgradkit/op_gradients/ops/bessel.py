"""Gradients of the Bessel functions of order one, and of Spence's function: exact where TensorFlow divides 0 by 0.

I₁' = I₀ − I₁/x and J₁' = J₀ − J₁/x (DLMF 10.29.2, 10.6.2). Near 0 the quotients are summed as power series
(DLMF 10.25.2, 10.2.2), which have derivatives of every order there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ..registry import take_over

# ½ Σ (±x²/4)^k / (k! (k+1)!), to rounding for |x| < 1, and of log(1+d)/d = Σ (−d)^k/(k+1) for |d| < 1/8.
_QUOTIENT = [0.5 / (math.factorial(k) * math.factorial(k + 1)) for k in range(11)]
_LOGARITHM = [1 / (k + 1) for k in range(24)]
_NEAR_ONE = 0.125


def polynomial(coefficients: Sequence[float], x: tf.Tensor) -> tf.Tensor:
    """Σ cₖ xᵏ, by Horner's rule."""
    total = tf.fill(tf.shape(x), tf.constant(coefficients[-1], x.dtype))
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + tf.constant(coefficient, x.dtype)
    return total


def _over_x(y: tf.Tensor, x: tf.Tensor, sign: float, scaled: bool = False) -> tf.Tensor:
    """y/x, of y = I₁(x), J₁(x) or e^−|x| I₁(x)."""
    near = tf.abs(x) < 1
    inside, outside = tf.where(near, x, tf.zeros([], x.dtype)), tf.where(near, tf.ones([], x.dtype), x)
    series = polynomial(_QUOTIENT, sign * inside * inside / 4)
    if scaled:
        series *= tf.exp(-tf.abs(inside))
    return tf.where(near, series, y / outside)


@take_over("BesselI1")
def _i1(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    x, y = op.inputs[0], op.outputs[0]
    return upstream * (tf.raw_ops.BesselI0(x=x) - _over_x(y, x, 1.0))


@take_over("BesselI1e")
def _i1e(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    x, y = op.inputs[0], op.outputs[0]
    return upstream * (tf.raw_ops.BesselI0e(x=x) - tf.sign(x) * y - _over_x(y, x, 1.0, scaled=True))


@take_over("BesselJ1")
def _j1(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    x, y = op.inputs[0], op.outputs[0]
    return upstream * (tf.raw_ops.BesselJ0(x=x) - _over_x(y, x, -1.0))


@take_over("Spence")
def _spence(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """log x/(1 − x), at x = 1 by its series."""
    x = op.inputs[0]
    away = x - 1
    near = tf.abs(away) < _NEAR_ONE
    inside, outside = tf.where(near, away, tf.zeros([], x.dtype)), tf.where(near, tf.cast(2.0, x.dtype), x)
    quotient = tf.math.log(outside) / (outside - 1)
    return -upstream * tf.where(near, polynomial(_LOGARITHM, -inside), quotient)
