"""Functions of one real tensor, element by element: ``tf.math``, ``keras.ops`` and ``tf.experimental.numpy``.

Each has a generic point and special ones: zeros, ones, ends of the domain, large and tiny arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entry import Entry, entry

ops, tnp = keras.ops, tf.experimental.numpy

# Generic first: no zero, no tie, no end of a domain.
WHOLE = ([0.3, -0.7, 1.2], [0.0, 1.0, -1.0], [1e-4, 12.0, -9.0])
POSITIVE = ([0.4, 1.7, 2.3], [1.0, 0.3, 40.0])
FROM_ZERO = (*POSITIVE, [0.0, 0.0, 0.0])
ABOVE_ONE = ([1.4, 1.7, 2.3], [10.0, 2.0, 30.0])
INSIDE = ([0.3, -0.7, 0.55], [0.0, 1e-4, 0.9])
UNIT = ([0.3, 0.6, 0.85], [0.5, 0.05, 0.98])
STEPS = ([0.3, -0.7, 1.2], [2.6, -1.4, 0.1])
LARGE = ([0.3, -0.7, 1.2], [0.0, 1.0, -1.0], [1e-4, 300.0, -400.0])


def each(module: str, owner: Any, points: Any, names: str, **keywords: Any) -> list[Entry]:
    """An entry for each of the functions ``names`` of ``owner``, at the same points."""
    return [entry(f"{module}.{name}", _named(owner, name), *points, **keywords) for name in names.split()]


def _named(owner: Any, name: str) -> Callable[..., Any]:
    return lambda *xs: getattr(owner, name)(*xs)


_TF = [
    *each("tf.math", tf.math, WHOLE, "sin cos tan sinh cosh asinh atan exp expm1 square", orders=3),
    *each("tf.math", tf.math, LARGE, "tanh sigmoid erf erfc softplus log_sigmoid softsign", orders=3),
    *each("tf.math", tf.math, WHOLE, "negative abs sign"),
    *each("tf.math", tf.math, STEPS, "floor ceil round rint"),
    *each("tf.math", tf.math, POSITIVE, "log reciprocal rsqrt reciprocal_no_nan", orders=3, scale=0.3),
    *each("tf.math", tf.math, FROM_ZERO, "sqrt", orders=3, scale=0.3),
    *each("tf.math", tf.math, ([0.3, -0.6, 1.2], [0.0, 1e-5, 50.0]), "log1p", orders=3, scale=0.3),
    *each("tf.math", tf.math, INSIDE, "asin acos atanh", orders=3, scale=0.1),
    *each("tf.math", tf.math, ABOVE_ONE, "acosh", orders=3, scale=0.3),
]
_KERAS = [
    *each("keras.ops", ops, WHOLE, "arcsinh arctan cos cosh exp expm1 sin sinh square tan deg2rad rad2deg", orders=3),
    *each("keras.ops", ops, LARGE, "erf erfc tanh", orders=3),
    *each("keras.ops", ops, WHOLE, "abs absolute negative sign real imag conj conjugate angle copy nan_to_num"),
    *each("keras.ops", ops, STEPS, "floor ceil trunc round"),
    *each("keras.ops", ops, POSITIVE, "log log2 log10 reciprocal rsqrt", orders=3, scale=0.3),
    *each("keras.ops", ops, FROM_ZERO, "sqrt", orders=3, scale=0.3),
    *each("keras.ops", ops, ([0.3, -0.7, 1.2], [1.0, 8.0, -0.4]), "cbrt", orders=3, scale=0.3),
    *each("keras.ops", ops, ([0.3, -0.6, 1.2], [0.0, 1e-5, 50.0]), "log1p", orders=3, scale=0.3),
    *each("keras.ops", ops, INSIDE, "arcsin arccos arctanh", orders=3, scale=0.1),
    *each("keras.ops", ops, ABOVE_ONE, "arccosh", orders=3, scale=0.3),
    *each("keras.ops", ops, INSIDE, "erfinv", orders=3, scale=0.1),
    *each("keras.ops", ops, (*WHOLE, [2.0, -3.0, 0.5]), "sinc i0", orders=3),
]
_NUMPY = [
    *each("tnp", tnp, WHOLE, "arcsinh arctan cos cosh exp exp2 expm1 sin sinh square tan deg2rad rad2deg", orders=3),
    *each("tnp", tnp, LARGE, "tanh", orders=3),
    *each("tnp", tnp, WHOLE, "abs absolute fabs negative positive sign real imag conj copy"),
    *each("tnp", tnp, STEPS, "floor ceil fix"),
    *each("tnp", tnp, POSITIVE, "log log2 log10 reciprocal", orders=3, scale=0.3),
    *each("tnp", tnp, FROM_ZERO, "sqrt", orders=3, scale=0.3),
    *each("tnp", tnp, ([0.3, -0.7, 1.2], [1.0, 8.0, -0.4]), "cbrt", orders=3, scale=0.3),
    *each("tnp", tnp, ([0.3, -0.6, 1.2], [0.0, 1e-5, 50.0]), "log1p", orders=3, scale=0.3),
    *each("tnp", tnp, INSIDE, "arcsin arccos arctanh", orders=3, scale=0.1),
    *each("tnp", tnp, ABOVE_ONE, "arccosh", orders=3, scale=0.3),
    *each("tnp", tnp, (*WHOLE, [2.0, -3.0, 0.5]), "sinc", orders=3),
]
_RAW = [
    entry("Inv", lambda x: tf.raw_ops.Inv(x=x), *POSITIVE, orders=3, scale=0.3),
    entry("abs(x)**2", lambda x: tf.abs(x) ** 2, *WHOLE, orders=3),
    entry("square(abs(x))", lambda x: tf.square(tf.abs(x)), *WHOLE, orders=3),
    entry("abs(x)**3", lambda x: tf.abs(x) ** 3, [0.3, -0.7, 1.2], [0.0, 1.0, -1.0]),
    entry("x*abs(x)", lambda x: x * tf.abs(x), *WHOLE),
    entry("sqrt(x)**2", lambda x: tf.sqrt(x) ** 2, *POSITIVE, scale=0.3),
    entry("sqrt(x*x + 1)", lambda x: tf.sqrt(x * x + 1), *WHOLE, orders=3),
    entry("log(cosh(x))", lambda x: tf.math.log(tf.cosh(x)), *WHOLE, orders=3),
    entry("exp(log(x))", lambda x: tf.exp(tf.math.log(x)), *POSITIVE, orders=3, scale=0.3),
    entry("where, a branch that is not taken", lambda x: tf.where(x > 0, tf.sqrt(tf.where(x > 0, x, 1.0)), x), *STEPS),
    entry("tf.clip_by_value", lambda x: tf.clip_by_value(x, -0.5, 0.9), *WHOLE),
    entry(
        "tf.clip_by_value, by its ends",
        tf.clip_by_value,
        ([0.3, -0.7, 1.2], [-0.5, -0.5, -0.5], [0.9, 0.9, 0.9]),
        ([0.3, -0.7, 1.2], [0.3, -0.9, -0.5], [0.9, -0.7, 0.9]),
    ),
    entry("tf.clip_by_norm", lambda x: tf.clip_by_norm(x, 1.0), [0.3, -0.7, 1.2], [0.1, 0.2, -0.3], [0.0, 0.0, 0.0]),
    entry(
        "tf.clip_by_norm, axis",
        lambda x: tf.clip_by_norm(x, 1.0, axes=[-1]),
        [[0.3, -0.7], [1.2, 0.1]],
        [[0.1, 0.0], [0.0, 0.0]],
    ),
    entry(
        "tf.clip_by_global_norm",
        lambda x: tf.clip_by_global_norm([x, 2 * x], 1.0)[0],
        [0.3, -0.7, 1.2],
        [0.1, 0.0, -0.1],
    ),
    entry("keras.ops.clip", lambda x: ops.clip(x, -0.5, 0.9), *WHOLE),
    entry("tnp.clip", lambda x: tnp.clip(x, -0.5, 0.9), *WHOLE),
    entry("keras.ops.round, decimals", lambda x: ops.round(x, 1), [0.33, -0.72, 1.26]),
    entry("tf.math.polyval", lambda x: tf.math.polyval([x, 2 * x, 1.0 + x], x), *WHOLE, orders=3),
    entry("tnp.polyval", lambda x: tnp.polyval(np.array([2.0, 0.0, 1.0]), x), *WHOLE, orders=3),
    entry(
        "tf.math.l2_normalize",
        lambda x: tf.math.l2_normalize(x, -1),
        [[0.3, -0.7], [1.2, 0.4]],
        [[0.0, 1.0], [3.0, 0.0]],
    ),
    entry("tf.nn.l2_loss", tf.nn.l2_loss, *WHOLE, orders=3),
    entry("tf.cast to complex and back", lambda x: tf.math.real(tf.cast(x, tf.complex128) ** 2), *WHOLE, orders=3),
    entry("keras.ops.select", lambda x: ops.select([x > 1, x > 0], [x**2, tf.sin(x)], default=-x), *STEPS),
    entry("tf.math.accumulate_n", lambda x: tf.math.accumulate_n([x, x * x, tf.sin(x)]), *WHOLE, orders=3),
    entry("tf.add_n, repeated", lambda x: tf.add_n([x, x * x, x]), *WHOLE, orders=3),
    entry("tf.math.scalar_mul", lambda x: tf.math.scalar_mul(x[0], x), *WHOLE, orders=3),
]
ENTRIES = [*_TF, *_KERAS, *_NUMPY, *_RAW]
