"""Special functions: gamma, beta, error, Bessel, zeta and their like, at generic points, zeros, ends and far out."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .entries_unary import INSIDE, POSITIVE, UNIT, each
from .entry import Entry, entry

math, special = tf.math, tf.math.special
_BESSEL = ([0.3, -0.7, 1.2], [0.0, 0.0, 2.5], [1e-3, 9.0, -7.5])
_BESSEL_K = ([0.3, 0.7, 1.9], [2.5, 6.0, 1.0])
_GAMMA = ([0.4, 1.7, 2.3], [1.0, 2.0, 9.0], [-0.6, -1.3, 0.1])


def fixed(name: str, f: Any, constants: Any, *points: Any, **keywords: Any) -> list[Entry]:
    """f(c, x), c each of ``constants``: an argument that is not asked for."""
    return [entry(f"{name}, {c}", lambda x, c=c: f(tf.cast(c, x.dtype), x), *points, **keywords) for c in constants]


_UNARY = [
    *each("tf.math", math, _BESSEL, "bessel_i0 bessel_i0e bessel_i1 bessel_i1e", orders=3),
    *each(
        "tf.math.special", special, _BESSEL, "bessel_i0 bessel_i1 bessel_i0e bessel_i1e bessel_j0 bessel_j1", orders=3
    ),
    *each(
        "tf.math.special",
        special,
        _BESSEL_K,
        "bessel_k0 bessel_k0e bessel_k1 bessel_k1e bessel_y0 bessel_y1",
        orders=3,
        scale=0.3,
    ),
    *each("tf.math.special", special, ([0.3, -0.7, 1.2], [0.0, 1.0, 4.0]), "dawsn fresnel_cos fresnel_sin", orders=3),
    *each("tf.math.special", special, ([0.3, 0.7, 1.9], [2.5, 6.0, 1.0]), "expint", orders=3, scale=0.3),
    *each("tf.math.special", special, ([0.3, 0.7, 1.9], [1.0, 1.0, 4.0]), "spence", orders=3, scale=0.3),
    *each("tf.math", math, _GAMMA, "lgamma digamma", orders=3, scale=0.1),
    *each("tf.math", math, INSIDE, "erfinv", orders=3, scale=0.1),
    *each("tf.math", math, UNIT, "ndtri", orders=3, scale=0.05),
    *each("tf.math", math, ([0.3, 0.6, 1.85], [0.5, 1.0, 1.98]), "erfcinv", scale=0.02),
    entry("tf.math.lbeta", math.lbeta, [[0.4, 1.7, 2.3], [1.0, 2.0, 3.0]], orders=3, scale=0.3),
    entry("xlogx near 1", lambda x: math.xlogy(x - 1, x), [0.4, 1.7, 2.3], [1.0, 1.0, 1.0], orders=3, scale=0.3),
]
_X = ([0.4, 1.7, 2.3], [1.0, 0.6, 6.0])
_BY_X = [
    *fixed("tf.math.igamma", math.igamma, (0.5, 1.0, 2.0, 3.5), *_X, orders=3, scale=0.5),
    *fixed("tf.math.igammac", math.igammac, (0.5, 1.0, 2.0, 3.5), *_X, orders=3, scale=0.5),
    *fixed("tf.math.igamma at 0", math.igamma, (1.0, 2.0, 3.0, 4.0), [0.4, 1.7], [0.0, 0.0], orders=2, scale=0.3),
    *fixed("tf.math.igammac at 0", math.igammac, (1.0, 2.0, 3.0, 4.0), [0.4, 1.7], [0.0, 0.0], orders=2, scale=0.3),
    *fixed("tf.math.polygamma", math.polygamma, (1.0, 2.0, 3.0), *POSITIVE[:1], [1.0, 2.0, 9.0], orders=3, scale=0.1),
    *fixed("tf.math.polygamma", math.polygamma, (0.0,), *POSITIVE[:1], [1.0, 2.0, 9.0], orders=3, scale=0.1),
    *fixed("tf.math.zeta", math.zeta, (2.0, 3.5, 1.2), *POSITIVE[:1], [1.0, 2.0, 9.0], orders=3, scale=0.1),
    entry(
        "tf.math.betainc by x",
        lambda x: math.betainc(tf.cast(2.0, x.dtype), tf.cast(3.0, x.dtype), x),
        [0.3, 0.6, 0.85],
        [0.5, 0.2, 0.9],
        orders=3,
        scale=0.3,
    ),
    entry(
        "tf.math.betainc by x, at the ends",
        lambda x: math.betainc(
            tf.cast([1.0, 2.0, 1.0, 2.0, 3.0, 1.0], x.dtype),
            tf.cast([1.0, 1.0, 2.0, 2.0, 1.0, 3.0], x.dtype),
            x,
        ),
        [0.3, 0.6, 0.85, 0.4, 0.2, 0.1],
        [0.0] * 6,
        [1.0] * 6,
        scale=0.3,
    ),
    entry(
        "tf.math.betainc by x, uniform",
        lambda x: math.betainc(tf.ones([], x.dtype), tf.ones([], x.dtype), x),
        [0.3, 0.6],
        scale=0.1,
    ),
]
_PARAMETERS = [
    entry(
        "tf.math.igamma by both",
        math.igamma,
        ([0.4, 1.7, 2.3], [0.9, 1.1, 2.6]),
        ([1.0, 2.0, 5.0], [1.0, 2.0, 0.5]),
        scale=0.3,
        tolerance=1e-5,
    ),
    entry(
        "tf.math.igammac by both",
        math.igammac,
        ([0.4, 1.7, 2.3], [0.9, 1.1, 2.6]),
        ([1.0, 2.0, 5.0], [1.0, 2.0, 0.5]),
        scale=0.3,
        tolerance=1e-5,
    ),
    entry("tf.math.igamma, a broadcast", math.igamma, ([1.7], [[0.9, 1.1], [2.6, 0.4]]), scale=0.3, tolerance=1e-5),
    entry("tf.math.igamma, x broadcast", math.igamma, ([[0.9, 1.1], [2.6, 0.4]], [1.7]), scale=0.3, tolerance=1e-5),
    entry(
        "tf.math.betainc by all",
        math.betainc,
        ([0.7, 1.7, 2.3], [1.9, 1.1, 2.6], [0.3, 0.6, 0.85]),
        ([1.0, 2.0, 5.0], [1.0, 2.0, 0.5], [0.5, 0.5, 0.5]),
        scale=0.1,
        tolerance=1e-5,
    ),
    entry(
        "tf.math.betainc, x a scalar",
        lambda a, x: math.betainc(a, 2 * a, x),
        ([0.7, 1.7], 0.3),
        scale=0.1,
        tolerance=1e-5,
    ),
    entry(
        "tf.math.zeta by both",
        math.zeta,
        ([1.7, 2.5, 4.1], [0.9, 1.1, 2.6]),
        ([2.0, 3.0, 5.0], [1.0, 2.0, 3.0]),
        scale=0.3,
    ),
    entry("tf.math.zeta, s broadcast", math.zeta, ([2.7], [[0.9, 1.1], [2.6, 0.4]]), scale=0.1),
    entry(
        "tf.math.polygamma, n broadcast",
        lambda x: math.polygamma(tf.cast([[0.0], [1.0], [2.0]], x.dtype), x),
        [0.9, 1.1],
        scale=0.3,
        orders=3,
    ),
    entry(
        "gamma density",
        lambda a, x: tf.exp(math.xlogy(a - 1, x) - x - math.lgamma(a)),
        ([0.4, 1.7], [0.9, 1.1]),
        ([1.0, 2.0], [1.0, 3.0]),
        scale=0.3,
    ),
    entry(
        "tf.raw_ops.IgammaGradA",
        lambda a, x: tf.raw_ops.IgammaGradA(a=a, x=x),
        ([0.7, 1.7], [0.9, 1.1]),
        scale=0.3,
        tolerance=1e-5,
        orders=1,
    ),
]
ENTRIES = [*_UNARY, *_BY_X, *_PARAMETERS]
