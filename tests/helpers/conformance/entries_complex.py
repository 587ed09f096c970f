"""Element-wise functions of complex numbers, as pairs of real ones: gradients with and without conjugates.

Those of ``keras.ops`` that are not here cast to single precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entry import Entry, as_complex, entry

ops, raw = keras.ops, tf.raw_ops
Z = np.array([[0.3, -0.7], [1.2, 0.4], [-0.6, 0.9]])
W = np.array([[1.3, 0.6], [-0.2, 1.4], [0.8, -0.5]])
REAL = np.array([[0.3, 0.0], [1.2, 0.0], [-0.6, 0.0]])
ZERO = 0 * Z


def of_one(name: str, f: Callable[..., Any], *points: Any, **keywords: Any) -> Entry:
    """f(z)."""
    return entry(f"complex {name}", lambda z: f(as_complex(z)), *points, **keywords)


def of_two(name: str, f: Callable[..., Any], *points: Any, **keywords: Any) -> Entry:
    """f(z, w)."""
    return entry(f"complex {name}", lambda z, w: f(as_complex(z), as_complex(w)), *points, **keywords)


def each(module: str, owner: Any, names: str, *points: Any, **keywords: Any) -> list[Entry]:
    """An entry for each of the functions ``names``."""
    return [
        of_one(f"{module}.{name}", lambda z, name=name: getattr(owner, name)(z), *points, **keywords)
        for name in names.split()
    ]


_ONE = [
    *each("tf.math", tf.math, "exp expm1 sin cos tan sinh cosh tanh sigmoid", Z, REAL, ZERO),
    *each("tf.math", tf.math, "square conj real imag negative", Z, REAL, ZERO),
    *each("tf.math", tf.math, "log log1p sqrt rsqrt reciprocal reciprocal_no_nan", Z, W, scale=0.3),
    *each("tf.math", tf.math, "asinh acosh atanh asin acos atan", 0.5 * Z + 0.1, scale=0.2),
    *each("tf.math", tf.math, "abs angle sign", Z, W, scale=0.3),
    *each("keras.ops", ops, "square conj real imag abs sign exp", Z, W, scale=0.3),
    *each(
        "tf.experimental.numpy", tf.experimental.numpy, "exp log sqrt square conj real imag abs angle", Z, W, scale=0.3
    ),
    of_one("abs(z)**2", lambda z: tf.abs(z) ** 2, Z, REAL, ZERO, orders=3),
    of_one("square(abs(z))", lambda z: tf.square(tf.abs(z)), Z, REAL, ZERO, orders=3),
    of_one("abs(z)**4", lambda z: tf.abs(z) ** 4, Z, ZERO),
    of_one("keras.ops.square(keras.ops.abs(z))", lambda z: ops.square(ops.abs(z)), Z, ZERO),
    of_one("z * conj(z)", lambda z: z * tf.math.conj(z), Z, ZERO, orders=3),
    of_one("1j * z", lambda z: 1j * z, Z, ZERO),
    of_one("power spectrum", lambda z: tf.abs(tf.signal.fft(z)) ** 2, Z, ZERO),
    of_one("z**2", lambda z: z**2, Z, REAL, ZERO, orders=3),
    of_one("z**3", lambda z: z**3, Z, REAL, ZERO, orders=3),
    of_one("z**1", lambda z: tf.pow(z, tf.cast(1.0, z.dtype)), Z, REAL, orders=3),
    of_one("z**0.5", lambda z: tf.pow(z, tf.cast(0.5, z.dtype)), Z, scale=0.3, orders=3),
    of_one("z**-1", lambda z: tf.pow(z, tf.cast(-1.0, z.dtype)), Z, scale=0.3, orders=3),
    of_one("2j ** z", lambda z: tf.pow(tf.cast(2j, z.dtype), z), Z, REAL, ZERO, orders=3),
    of_one("xlogy(z, c)", lambda z: tf.math.xlogy(z, tf.cast(2j, z.dtype)), Z, ZERO),
    of_one("xlogy(c, z)", lambda z: tf.math.xlogy(tf.cast(2j, z.dtype), z), Z, scale=0.3),
    of_one("xlog1py(z, c)", lambda z: tf.math.xlog1py(z, tf.cast(2j, z.dtype)), Z, ZERO),
    of_one("xdivy(z, c)", lambda z: tf.math.xdivy(z, tf.cast(2j, z.dtype)), Z, ZERO),
    of_one("tf.cast to real", lambda z: tf.cast(z, tf.float64), Z, REAL),
    of_one("complex of its parts", lambda z: tf.complex(tf.math.imag(z), tf.math.real(z)), Z, ZERO),
    of_one("add_n", lambda z: tf.add_n([z, z * z, z]), Z, ZERO),
    of_one("where", lambda z: tf.where([True, False, True], z * z, tf.math.conj(z)), Z, ZERO),
    of_one("Inv", lambda z: raw.Inv(x=z), Z, scale=0.3),
    of_one("cumulative product of parts", lambda z: tf.exp(1j * z) * tf.math.conj(z), Z, ZERO),
    of_one("l2 loss by parts", lambda z: tf.nn.l2_loss(tf.math.real(z)) + tf.nn.l2_loss(tf.math.imag(z)), Z, ZERO),
    of_one("normalized", lambda z: z / tf.cast(tf.abs(z), z.dtype), Z, scale=0.3),
    of_one(
        "polar", lambda z: tf.cast(tf.abs(z), z.dtype) * tf.exp(1j * tf.cast(tf.math.angle(z), z.dtype)), Z, scale=0.3
    ),
]
_TWO = [
    of_two("add", tf.add, (Z, W), (ZERO, W)),
    of_two("subtract", tf.subtract, (Z, W), (Z, Z)),
    of_two("multiply", tf.multiply, (Z, W), (ZERO, W), (ZERO, ZERO)),
    of_two("multiply, broadcast", tf.multiply, (Z[:1], W)),
    of_two("divide", tf.divide, (Z, W), (ZERO, W), scale=0.3),
    of_two("Div", lambda z, w: raw.Div(x=z, y=w), (Z, W), (ZERO, W), scale=0.3),
    of_two("divide_no_nan", tf.math.divide_no_nan, (Z, W), (ZERO, W), scale=0.3),
    of_two("multiply_no_nan", tf.math.multiply_no_nan, (Z, W), (ZERO, W), (Z, ZERO)),
    of_two("squared_difference", tf.math.squared_difference, (Z, W), (Z, Z), (ZERO, W)),
    of_two("squared_difference, broadcast", tf.math.squared_difference, (Z, W[:1])),
    of_two("pow", tf.pow, (Z, W), (W, Z), scale=0.3),
    of_two("xlogy", tf.math.xlogy, (Z, W), (ZERO, W), scale=0.3),
    of_two("xlog1py", tf.math.xlog1py, (Z, W), (ZERO, W), scale=0.3),
    of_two("xdivy", tf.math.xdivy, (Z, W), (ZERO, W), scale=0.3),
    of_two("xlogy, broadcast", tf.math.xlogy, (Z[:1], W), scale=0.3),
    of_two("conj(z) * w", lambda z, w: tf.math.conj(z) * w, (Z, W), (ZERO, W)),
    of_two("|z - w|²", lambda z, w: tf.abs(z - w) ** 2, (Z, W), (Z, Z)),
]
ENTRIES = [*_ONE, *_TWO]
