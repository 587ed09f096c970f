"""Special functions by their parameters: the incomplete gamma and beta functions, and the Hurwitz zeta function.

The density of a gamma or beta variable, in the logarithm or logit of the variable, is log-concave, so the
tail of its integral that begins at x falls without a bump. A Gauss–Legendre rule over the 40 e-folds of that tail
gives the integral to rounding, and being made of differentiable ops, every derivative by the parameters. A small
parameter, whose tail is long, is raised before by the recurrences of DLMF 8.8 and 8.17.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from .arrays import _like
from .registry import by_formula, register, take_over

Density = Callable[[tf.Tensor], tf.Tensor]
# By how much parameters are raised, so that a tail is a few wide.
_RAISED = 8
_FOLDS = 40.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


@register("IgammaGradA")
def _igamma_grad_a(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """∂²P/∂a² by quadrature, and ∂²P/∂a∂x of the density itself."""
    a, x = op.inputs
    inside, safe = _inside(x, x > 0)
    by_x = tf.exp(_gamma_density(a, tf.math.log(safe))) / safe * (tf.math.log(safe) - tf.math.digamma(a))
    weight = upstream * inside
    return [_like(weight * second_by_a(a, safe), a), _like(weight * by_x, x)]


def _inside(x: tf.Tensor, inside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """1 and x inside, 0 and a place where nothing is infinite at the ends, where nothing changes."""
    return tf.cast(inside, x.dtype), tf.where(inside, x, tf.cast(0.5, x.dtype))


def _gamma_density(a: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    """The logarithm of the density of w = log t."""
    return a * w - tf.exp(w) - tf.math.lgamma(a)


def second_by_a(a: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """∂²P(a, x)/∂a², P the regularized lower incomplete gamma function."""
    log_x = tf.math.log(x)

    def slope(density: tf.Tensor, a: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
        return density * ((w - tf.math.digamma(a)) ** 2 - tf.math.polygamma(tf.ones([], a.dtype), a))

    # P(a) = P(a+k) + Σ x^(a+j) e^-x / Γ(a+j+1)
    total = tf.zeros_like(a * x)
    for j in range(_RAISED):
        total += slope(tf.exp((a + j) * log_x - x - tf.math.lgamma(a + j + 1)), a + j + 1, log_x)
    raised = a + _RAISED
    below = log_x < tf.math.log(raised)
    nodes, weights = _tail(lambda w: _gamma_density(raised, w), log_x, below)
    expanded = raised[..., None]
    values = slope(tf.exp(_gamma_density(expanded, nodes)), expanded, nodes)
    return total + tf.reduce_sum(values * weights, -1)


def _tail(log_density: Density, start: tf.Tensor, below: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Nodes and weights, on a new last axis, of the integral of a density from ``start`` on, below or above.

    The weights above are negative: the derivatives of what lies below and above sum to zero.
    """
    direction = tf.where(below, tf.cast(-1, start.dtype), tf.cast(1, start.dtype))
    direction = tf.broadcast_to(direction, tf.shape(log_density(start)))
    length = tf.stop_gradient(_length(log_density, start, direction))[..., None]
    nodes = tf.constant((_NODES + 1) / 2, start.dtype) * length
    weights = tf.constant(_WEIGHTS / 2, start.dtype) * length
    return start[..., None] + direction[..., None] * nodes, -direction[..., None] * weights


def _length(log_density: Density, start: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
    """How far a log-concave density falls by 40 e-folds, by bisection of the logarithm."""
    at_start = log_density(start)
    low = tf.fill(tf.shape(at_start), tf.cast(math.log(1e-7), start.dtype))
    high = tf.fill(tf.shape(at_start), tf.cast(math.log(1e4), start.dtype))
    for _ in range(24):
        middle = (low + high) / 2
        near = at_start - log_density(start + direction * tf.exp(middle)) < _FOLDS
        low, high = tf.where(near, middle, low), tf.where(near, high, middle)
    return tf.exp(high)


@register("RandomGammaGrad")
def _random_gamma_grad(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """−(∂P/∂a)/(∂P/∂x), the implicit derivative of a sample (Figurnov, Mohamed & Mnih 2018)."""

    def formula(alpha: tf.Tensor, sample: tf.Tensor) -> tf.Tensor:
        density = tf.exp(_gamma_density(alpha, tf.math.log(sample))) / sample
        return -tf.raw_ops.IgammaGradA(a=alpha, x=sample) / density

    return by_formula(formula, op.inputs, upstream)


@take_over("Betainc")
def _betainc(op: Any, upstream: tf.Tensor) -> list[Any]:
    """By x the density; by a and b, for which TensorFlow gives None, by quadrature."""
    a, b, x = op.inputs
    log_density = tf.math.xlogy(a - 1, x) + tf.math.xlog1py(b - 1, -x) - _log_beta(a, b)
    skipped = getattr(op, "skip_input_indices", None) or ()
    by_a = by_b = None
    if not {0, 1} <= set(skipped):
        inside, safe = _inside(x, tf.logical_and(x > 0, x < 1))
        slopes = betainc_slopes(a, b, safe)
        by_a, by_b = (_like(upstream * inside * slope, p) for slope, p in zip(slopes, (a, b), strict=True))
    return [by_a, by_b, _like(upstream * tf.exp(log_density), x)]


def _log_beta(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.math.lgamma(a) + tf.math.lgamma(b) - tf.math.lgamma(a + b)


def betainc_slopes(a: tf.Tensor, b: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """∂I/∂a and ∂I/∂b of the regularized incomplete beta function I."""
    log_x, log_y = tf.math.log(x), tf.math.log1p(-x)
    by_a = by_b = tf.zeros_like(a * b * x)

    def step(a: tf.Tensor, b: tf.Tensor, sign: int) -> None:
        """x^a y^b / (p B(a, b)), p = a where a is raised next and b where b is."""
        nonlocal by_a, by_b
        raised = a if sign > 0 else b
        term = sign * tf.exp(a * log_x + b * log_y - _log_beta(a, b)) / raised
        both = tf.math.digamma(a + b)
        own_a, own_b = (-1 / a, 0.0) if sign > 0 else (0.0, -1 / b)
        by_a += term * (log_x - tf.math.digamma(a) + both + own_a)
        by_b += term * (log_y - tf.math.digamma(b) + both + own_b)

    for j in range(_RAISED):
        step(a + j, b, 1)
    for j in range(_RAISED):
        step(a + _RAISED, b + j, -1)
    tail_a, tail_b = _beta_tail(a + _RAISED, b + _RAISED, log_x - log_y)
    return by_a + tail_a, by_b + tail_b


def _beta_tail(a: tf.Tensor, b: tf.Tensor, logit: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    def log_density(w: tf.Tensor, a: tf.Tensor = a, b: tf.Tensor = b) -> tf.Tensor:
        return -a * tf.math.softplus(-w) - b * tf.math.softplus(w) - _log_beta(a, b)

    nodes, weights = _tail(log_density, logit, logit < tf.math.log(a) - tf.math.log(b))
    a, b = a[..., None], b[..., None]
    density = tf.exp(log_density(nodes, a, b)) * weights
    both = tf.math.digamma(a + b)
    by_a = density * (-tf.math.softplus(-nodes) - tf.math.digamma(a) + both)
    by_b = density * (-tf.math.softplus(nodes) - tf.math.digamma(b) + both)
    return tf.reduce_sum(by_a, -1), tf.reduce_sum(by_b, -1)


# B_2j / (2j)!
_BERNOULLI = [1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
              1 / 74724249600, -3617 / 10670622842880000]  # fmt: skip


@take_over("Zeta")
def _zeta(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """By q −s ζ(s+1, q); by s, for which TensorFlow gives None, of the Euler–Maclaurin sum (DLMF 25.11.5)."""
    s, q = op.inputs
    skipped = getattr(op, "skip_input_indices", None) or ()
    by_q = _like(upstream * -s * tf.math.zeta(s + 1, q), q)
    by_s = None if 0 in skipped else by_formula(_euler_maclaurin, [s, q], upstream)[0]
    return [by_s, by_q]


def _euler_maclaurin(s: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    count = 10
    end = q + count
    total = tf.add_n([(q + k) ** -s for k in range(count)])
    total += end ** (1 - s) / (s - 1) + end**-s / 2
    rising, power = s, end ** (-s - 1)
    for j, coefficient in enumerate(_BERNOULLI):
        total += coefficient * rising * power
        rising, power = rising * (s + 2 * j + 1) * (s + 2 * j + 2), power / end**2
    return total
