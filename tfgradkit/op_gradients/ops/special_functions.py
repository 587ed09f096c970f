"""Special functions by their parameters: the incomplete gamma and beta functions, and the Hurwitz zeta function.

The density of a gamma or beta variable, in the logarithm or logit of the variable, is log-concave, so the
tail of its integral that begins at x falls without a bump. A Gauss–Legendre rule over the 40 e-folds of that tail
gives the integral to rounding, and being made of differentiable ops, every derivative by the parameters. A small
parameter, whose tail is long, is raised before by the recurrences of DLMF 8.8 and 8.17.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ..registry import by_formula, register, take_over
from .arrays import sum_to_shape_of

Density = Callable[[tf.Tensor], tf.Tensor]
# By how much parameters are raised, so that the width of a tail is a few units.
_RAISED = 8
# The density falls by this factor's exponential over the tail, whose length is one of these.
_FOLDS = 40.0
_LENGTHS = np.geomspace(1e-7, 1e2, 100)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
# Zeta: the number of terms of the series that are summed as they are, and then B_2j / (2j)!
_SUMMED = 10
_BERNOULLI = [1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
              1 / 74724249600, -3617 / 10670622842880000]  # fmt: skip


@take_over("Igamma", "Igammac")
def _igamma(op: Any, upstream: tf.Tensor) -> list[Any]:
    """By x the density x^(a−1) e^−x / Γ(a), which at x = 0 is a power."""
    a, x = op.inputs
    skipped = getattr(op, "skip_input_indices", None) or ()
    upstream = tf.convert_to_tensor(upstream)
    upstream = upstream if op.type == "Igamma" else -upstream
    by_a = None if 0 in skipped else sum_to_shape_of(upstream * tf.raw_ops.IgammaGradA(a=a, x=x), a)
    return [by_a, None if 1 in skipped else sum_to_shape_of(upstream * _gamma_density_at(a, x), x)]


def _gamma_density_at(a: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """By logarithms, since factors would overflow; but where x is 0."""
    at_end = tf.equal(x, 0)
    end, inside = _apart(at_end, x, 1.0)
    power = tf.pow(end, a - 1) * tf.exp(-end - tf.math.lgamma(a))
    return tf.where(at_end, power, tf.exp((a - 1) * tf.math.log(inside) - inside - tf.math.lgamma(a)))


def _apart(at_end: tf.Tensor, x: tf.Tensor, other: float) -> tuple[tf.Tensor, tf.Tensor]:
    """x at the ends, and x elsewhere; in the other places a number where all is smooth."""
    filler = tf.constant(other, x.dtype)
    return tf.where(at_end, x, filler), tf.where(at_end, filler, x)


@register("IgammaGradA")
def _igamma_grad_a(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """∂²P/∂a² by quadrature, and ∂²P/∂a∂x of the density itself."""
    a, x = op.inputs
    inside, safe = _inside(x, x > 0)
    by_x = tf.exp(_gamma_density(a, tf.math.log(safe))) / safe * (tf.math.log(safe) - tf.math.digamma(a))
    weight = upstream * inside
    return [sum_to_shape_of(weight * _second_by_a(a, safe), a), sum_to_shape_of(weight * by_x, x)]


def _inside(x: tf.Tensor, inside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """1 and x inside the domain; at its ends, where the derivative is 0, 0 and a point where all is finite."""
    return tf.cast(inside, x.dtype), tf.where(inside, x, tf.cast(0.5, x.dtype))


def _gamma_density(a: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    """The logarithm of the density of w = log t."""
    return a * w - tf.exp(w) - tf.math.lgamma(a)


def _second_by_a(a: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """∂²P(a, x)/∂a², P the regularized lower incomplete gamma function."""
    a, log_x = (a + tf.zeros_like(x))[..., None], (tf.math.log(x) + tf.zeros_like(a))[..., None]

    def second_derivative(density: tf.Tensor, a: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
        return density * ((w - tf.math.digamma(a)) ** 2 - tf.math.polygamma(tf.ones([], a.dtype), a))

    # P(a) = P(a+k) + Σ x^(a+j) e^-x / Γ(a+j+1)
    upper = a + tf.range(1, _RAISED + 1, dtype=a.dtype)
    terms = tf.exp((upper - 1) * log_x - tf.exp(log_x) - tf.math.lgamma(upper))
    raised = a + _RAISED
    nodes, weights = _tail(partial(_gamma_density, raised), log_x, log_x < tf.math.log(raised))
    tail = second_derivative(tf.exp(_gamma_density(raised, nodes)), raised, nodes) * weights
    return tf.reduce_sum(second_derivative(terms, upper, log_x), -1) + tf.reduce_sum(tail, -1)


def _tail(log_density: Density, start: tf.Tensor, below: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Nodes and weights, along the last axis, of the integral of a density from ``start`` on, below or above.

    The weights above are negative: the derivatives of what lies below and above sum to zero.
    """
    sign = tf.where(below, tf.cast(-1, start.dtype), tf.cast(1, start.dtype))
    # The shortest length over which the density falls far enough.
    lengths = tf.constant(_LENGTHS, start.dtype)
    fallen = log_density(start) - log_density(start + sign * lengths) >= _FOLDS
    length = tf.stop_gradient(tf.reduce_min(tf.where(fallen, lengths, _LENGTHS[-1]), -1, keepdims=True))
    nodes = start + sign * length * tf.constant((_NODES + 1) / 2, start.dtype)
    return nodes, -sign * length * tf.constant(_WEIGHTS / 2, start.dtype)


@take_over("StatelessParameterizedTruncatedNormal")
def _truncated_normal(op: Any, upstream: tf.Tensor) -> list[Any]:
    """Implicit, as for gamma: -(dF/dp) / density, F the distribution between the ends (Figurnov et al. 2018).

    A sample moves with mean and deviation when the ends do, too. TensorFlow's leaves out that they don't.
    """
    mean, deviation, low, high = op.inputs[2:]
    x, a, b = ((end - mean) / deviation for end in (op.outputs[0], low, high))
    side = tf.where(a + b > 0, -tf.ones_like(x), tf.ones_like(x))  # the tail where differences keep their digits
    there, first, last = (tf.math.erfc(-side * z * np.sqrt(0.5)) for z in (x, a, b))
    below = (there - first) / (last - first)
    by_low, by_high = tf.exp((x**2 - a**2) / 2) * (1 - below), tf.exp((x**2 - b**2) / 2) * below
    a, b = (tf.where(tf.math.is_finite(z), z, tf.zeros_like(z)) for z in (a, b))
    slopes = 1 - by_low - by_high, x - a * by_low - b * by_high, by_low, by_high
    return [None, None, *(sum_to_shape_of(upstream * d, p) for d, p in zip(slopes, op.inputs[2:], strict=True))]


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
    skipped = getattr(op, "skip_input_indices", None) or ()
    by_a = by_b = None
    if not {0, 1} <= set(skipped):
        inside, safe = _inside(x, tf.logical_and(x > 0, x < 1))
        derivatives = zip(_betainc_derivatives(a, b, safe), (a, b), strict=True)
        by_a, by_b = (sum_to_shape_of(upstream * inside * derivative, p) for derivative, p in derivatives)
    return [by_a, by_b, None if 2 in skipped else sum_to_shape_of(upstream * _beta_density_at(a, b, x), x)]


def _beta_density_at(a: tf.Tensor, b: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """By logarithms, since factors would overflow; but where x is 0 or 1."""
    at_end = tf.logical_or(tf.equal(x, 0), tf.equal(x, 1))
    end, inside = _apart(at_end, x, 0.5)
    powers = tf.pow(end, a - 1) * tf.pow(1 - end, b - 1) * tf.exp(-_log_beta(a, b))
    logarithm = (a - 1) * tf.math.log(inside) + (b - 1) * tf.math.log1p(-inside) - _log_beta(a, b)
    return tf.where(at_end, powers, tf.exp(logarithm))


def _log_beta(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.math.lgamma(a) + tf.math.lgamma(b) - tf.math.lgamma(a + b)


def _betainc_derivatives(a: tf.Tensor, b: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """∂I/∂a and ∂I/∂b of the regularized incomplete beta function I.

    I(a, b) = I(a+1, b) + x^a y^b / (a B(a, b)), and the same in b with y = 1 − x and the other sign.
    """
    zero = tf.zeros_like(a + b + x)
    a, b, logit = ((z + zero)[..., None] for z in (a, b, tf.math.log(x) - tf.math.log1p(-x)))
    steps = tf.range(_RAISED, dtype=a.dtype)
    raised_a, raised_b = a + _RAISED, b + _RAISED
    nodes, weights = _tail(
        lambda w: _beta_density(raised_a, raised_b, w), logit, logit < tf.math.log(raised_a) - tf.math.log(raised_b)
    )
    parts = (
        (a + steps, b, logit, 1 / (a + steps), -1 / (a + steps), 0.0),
        (raised_a, b + steps, logit, -1 / (b + steps), 0.0, -1 / (b + steps)),
        (raised_a, raised_b, nodes, weights, 0.0, 0.0),
    )
    derivatives = [_beta_derivatives(*part) for part in parts]
    return tf.add_n([by_a for by_a, _ in derivatives]), tf.add_n([by_b for _, by_b in derivatives])


def _beta_density(a: tf.Tensor, b: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
    """The logarithm of the density of w = log t/(1−t)."""
    return -a * tf.math.softplus(-w) - b * tf.math.softplus(w) - _log_beta(a, b)


def _beta_derivatives(
    a: tf.Tensor, b: tf.Tensor, w: tf.Tensor, factor: tf.Tensor, more_a: Any, more_b: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Derivatives of Σ factor · density by a and b; ``more_a`` and ``more_b`` are d log(factor)/da and /db."""
    density, both = factor * tf.exp(_beta_density(a, b, w)), tf.math.digamma(a + b)
    by_a = density * (both - tf.math.digamma(a) - tf.math.softplus(-w) + more_a)
    by_b = density * (both - tf.math.digamma(b) - tf.math.softplus(w) + more_b)
    return tf.reduce_sum(by_a, -1), tf.reduce_sum(by_b, -1)


@take_over("Zeta")
def _zeta(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """By q −s ζ(s+1, q); by s, for which TensorFlow gives None, of the Euler–Maclaurin sum (DLMF 25.11.5)."""
    s, q = op.inputs
    skipped = getattr(op, "skip_input_indices", None) or ()
    by_q = sum_to_shape_of(upstream * -s * tf.math.zeta(s + 1, q), q)
    by_s = None if 0 in skipped else by_formula(_euler_maclaurin, [s, q], upstream)[0]
    return [by_s, by_q]


def _euler_maclaurin(s: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    s, q = (s + tf.zeros_like(q))[..., None], (q + tf.zeros_like(s))[..., None]
    end = q + _SUMMED
    head = tf.reduce_sum((q + tf.range(_SUMMED, dtype=q.dtype)) ** -s, -1, keepdims=True)
    count = len(_BERNOULLI)
    # s, s(s+1)(s+2), …
    rising = tf.math.cumprod(s + tf.range(2 * count - 1, dtype=s.dtype), -1)[..., ::2]
    powers = end ** (-s - 1 - 2 * tf.range(count, dtype=s.dtype))
    rest = tf.reduce_sum(tf.constant(_BERNOULLI, s.dtype) * rising * powers, -1, keepdims=True)
    return (head + end ** (1 - s) / (s - 1) + end**-s / 2 + rest)[..., 0]
