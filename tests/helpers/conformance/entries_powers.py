"""Powers, products that count 0·∞ as 0, and choices: by one argument or both, at zeros and edges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from .entries_binary import BLOCK, ONES, ZERO, A, B
from .entry import Entry, entry

ops, tnp = keras.ops, tf.experimental.numpy


def constant(name: str, f: Any, values: Any, *points: Any, **keywords: Any) -> Iterator[Entry]:
    """f(x, c) for each constant c."""
    for value in values:
        yield entry(f"{name}, {value}", lambda x, c=value: f(x, tf.cast(c, x.dtype)), *points, **keywords)


_X = ([0.4, 1.7, 2.3], [1.0, 0.1, 9.0])
_ANY = ([0.4, -1.7, 2.3], [1.0, 0.0, -1.0])
ENTRIES = [
    *constant("tf.pow", tf.pow, (0.0, 1.0, 2.0, 3.0, 4.0, 5.0), *_ANY, orders=3),
    *constant("tf.pow", tf.pow, (0.5, -1.0, -2.0, 1.5, 2.5), *_X, orders=3, scale=0.1),
    *constant("keras.ops.power", ops.power, (1.0, 2.0, 3.0), *_ANY, orders=3),
    *constant("tnp.power", tnp.power, (1.0, 2.0, 3.0), *_ANY, orders=3),
    *constant("c ** x", lambda x, c: c**x, (2.0, 1.0, 0.5), *_ANY, orders=3),
    entry("0 ** x", lambda x: tf.cast(0.0, x.dtype) ** x, [0.4, 1.7, 2.3], [1.0, 2.0, 3.0], scale=0.1),
    entry("x ** n, Python numbers", lambda x: x**1 + x**2 + x**3.0, *_ANY, orders=3),
    entry(
        "tf.pow, exponents [0, 1, 2]",
        lambda x: tf.pow(x, tf.cast([0.0, 1.0, 2.0], x.dtype)),
        *_ANY,
        [0.0, 0.0, 0.0],
        orders=3,
    ),
    entry(
        "tf.pow, exponents [3, 4, 5] broadcast",
        lambda x: tf.pow(x[:, None], tf.cast([3.0, 4.0, 5.0], x.dtype)),
        *_ANY,
        orders=3,
    ),
    entry(
        "tf.pow, 2.5 and 3.5 at 0",
        lambda x: tf.pow(x, tf.cast([2.5, 3.5], x.dtype)),
        [0.4, 1.7],
        [0.0, 0.0],
        scale=0.1,
    ),
    entry("tf.pow, 1.5 at 0", lambda x: tf.pow(x, tf.cast(1.5, x.dtype)), [0.4], [0.0], scale=0.1),
    entry(
        "tf.pow by both, base 0",
        tf.pow,
        ([0.4, 1.7, 2.3], [1.3, 2.0, 0.7]),
        ([0.0, 0.0, 2.0], [2.0, 3.0, 0.0]),
        scale=0.3,
    ),
    entry(
        "tf.pow, base below 0", lambda x: tf.pow(x, tf.cast([2.0, 3.0, -1.0], x.dtype)), [-0.4, -1.7, -2.3], orders=3
    ),
    entry("x ** x", lambda x: x**x, [0.4, 1.7, 2.3], [1.0, 0.5, 3.0], orders=3, scale=0.3),
    *constant("tf.math.xlogy, c first", lambda x, c: tf.math.xlogy(c, x), (0.0, 2.0), *_X, orders=3, scale=0.1),
    *constant("tf.math.xlogy, c second", tf.math.xlogy, (1.0, 2.0, 0.1), *_ANY, orders=3),
    *constant("tf.math.xlog1py, c second", tf.math.xlog1py, (0.0, 2.0, -0.5), *_ANY, orders=3),
    *constant("tf.math.xdivy, c second", tf.math.xdivy, (1.0, 2.0, -3.0), *_ANY, orders=3),
    *constant("tf.math.multiply_no_nan, c second", tf.math.multiply_no_nan, (0.0, 2.0), *_ANY, orders=3),
    *constant("tf.math.divide_no_nan, c second", tf.math.divide_no_nan, (0.0, 2.0), *_ANY, orders=3),
    entry("tf.math.xlogy, x log x", lambda x: tf.math.xlogy(x, x), *_X, orders=3, scale=0.1),
    entry(
        "tf.math.xlogy, 0 log y by both",
        tf.math.xlogy,
        ([0.3, -0.7, 0.2], [0.4, 1.7, 2.3]),
        ([0.0, 0.0, 0.0], [0.4, 1.0, 2.3]),
        orders=3,
        scale=0.3,
    ),
    entry(
        "tf.math.xlog1py, 0 log1p(y) by both",
        tf.math.xlog1py,
        ([0.3, -0.7, 0.2], [0.4, -0.6, 2.3]),
        ([0.0, 0.0, 0.0], [0.4, 0.0, 2.3]),
        orders=3,
        scale=0.3,
    ),
    entry(
        "tf.math.xdivy, 0 / y by both",
        tf.math.xdivy,
        ([0.3, -0.7, 0.2], [0.4, -1.6, 2.3]),
        ([0.0, 0.0, 0.0], [0.4, 1.0, -2.3]),
        orders=3,
        scale=0.3,
    ),
    entry(
        "tf.math.multiply_no_nan, zeros by both",
        tf.math.multiply_no_nan,
        ([0.3, -0.7, 0.2], [0.4, -1.6, 2.3]),
        ([0.0, 2.0, 0.0], [3.0, 0.0, 0.0]),
        orders=3,
    ),
    entry(
        "tf.math.atan2, on the axes",
        tf.math.atan2,
        ([0.3, -0.7, 1.2], [0.4, -1.6, 2.3]),
        ([0.0, 2.0, -1.0], [3.0, 0.0, 0.0]),
        orders=3,
        scale=0.3,
    ),
    entry("tf.where, both branches", lambda x, y: tf.where(x > y, x * y, x + y), (A, B), (ONES, ZERO)),
    entry("tf.where, condition broadcast", lambda x, y: tf.where([[True], [False]], x, y), (A, B)),
    entry("tf.where, x broadcast", lambda x, y: tf.where([[True], [False]], x, y), (A[:1], BLOCK)),
    entry("tf.raw_ops.Select", lambda x, y: tf.raw_ops.Select(condition=[True, False, True], x=x, y=y), (A, B)),
    entry(
        "tf.raw_ops.Select, rows", lambda x, y: tf.raw_ops.Select(condition=[True, False], x=x, y=y), (BLOCK, 2 * BLOCK)
    ),
    entry(
        "tf.raw_ops.ClipByValue",
        lambda x: tf.raw_ops.ClipByValue(
            t=x, clip_value_min=tf.cast(-0.5, x.dtype), clip_value_max=tf.cast(0.9, x.dtype)
        ),
        A,
    ),
    entry("keras.ops.where", lambda x, y: ops.where(x > y, x * y, x + y), (A, B), (ONES, ZERO)),
    entry("tnp.where", lambda x, y: tnp.where(x > y, x * y, x + y), (A, B), (ONES, ZERO)),
    entry("tf.lerp as keras does", lambda x, y: x + (y - x) * tf.sigmoid(x), (A, B), (ZERO, ZERO), orders=3),
]
