"""Functions of two real tensors, element by element: broadcast on either side, repeated, and at special points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entry import Entry, entry

ops, tnp = keras.ops, tf.experimental.numpy

A, B = np.array([0.3, -0.7, 1.2]), np.array([1.4, 0.6, -0.9])
P, Q = np.array([0.4, 1.7, 2.3]), np.array([1.3, 0.6, 2.9])
ZERO, ONES = np.zeros(3), np.ones(3)
BLOCK = np.array([[0.5, 1.1, 2.1], [1.6, 0.8, 1.9]])
_special = {
    "whole": [(A, B), (A, A), (ZERO, B), (A, -A), (ONES, ONES)],
    "zeros": [(A, B), (A, A), (ZERO, B), (A, ZERO), (ZERO, ZERO), (A, -A)],
    "positive": [(P, Q), (P, P), (ONES, Q), (P, ONES)],
    "by positive": [(A, Q), (ZERO, Q), (A, ONES)],
    "steps": [(A, B), (10 * P, Q), (-P, Q)],
}

_JUMPS = {"float32": "a whole quotient is rounded to another number"}


def both(name: str, f: Any, kind: str, scale: float = 1.0, orders: int = 2, **keywords: Any) -> Iterator[Entry]:
    """By both arguments, by each of them with the other broadcast, and by one x for both."""
    points = _special[kind]
    yield entry(name, f, *points, scale=scale, orders=max(orders, 2), **keywords)
    row, column = points[0][0], points[0][1]
    yield entry(f"{name}, broadcast on the left", f, (row, BLOCK), scale=scale, **keywords)
    yield entry(
        f"{name}, broadcast on the right",
        f,
        (BLOCK if kind != "whole" else BLOCK - 1.2, np.abs(column[:1])),
        scale=scale,
        **keywords,
    )
    yield entry(
        f"{name}, of one x", lambda x: f(x, x[::-1] + 0.1), points[0][0], orders=orders, scale=scale, **keywords
    )


def alone(names: str, owner: Any, module: str, kind: str, scale: float = 1.0, orders: int = 2) -> Iterator[Entry]:
    """By both arguments."""
    for name in names.split():
        f = lambda x, y, name=name: getattr(owner, name)(x, y)  # noqa: E731
        yield entry(f"{module}.{name}", f, *_special[kind], scale=scale, orders=orders)


_TF = [
    *both("tf.add", tf.add, "zeros"),
    *both("tf.subtract", tf.subtract, "zeros"),
    *both("tf.multiply", tf.multiply, "zeros", orders=3),
    *both("tf.divide", tf.divide, "whole", 0.3, orders=3),
    *both("tf.math.divide_no_nan", tf.math.divide_no_nan, "whole", 0.3),
    *both("tf.math.multiply_no_nan", tf.math.multiply_no_nan, "zeros"),
    *both("tf.maximum", tf.maximum, "zeros"),
    *both("tf.minimum", tf.minimum, "zeros"),
    *both("tf.math.squared_difference", tf.math.squared_difference, "zeros", orders=3),
    *both("tf.math.atan2", tf.math.atan2, "whole", 0.3),
    *both("tf.math.floormod", tf.math.floormod, "steps", 0.1, skip=_JUMPS),
    *both("tf.math.xlogy", lambda x, y: tf.math.xlogy(x, tf.abs(y)), "by positive", 0.3),
    *both("tf.math.xlog1py", tf.math.xlog1py, "by positive", 0.3),
    *both("tf.math.xdivy", tf.math.xdivy, "by positive", 0.3),
    *both("tf.pow", tf.pow, "positive", 0.3),
    *both("tf.raw_ops.Mod", lambda x, y: tf.raw_ops.Mod(x=x, y=y), "steps", 0.1, skip=_JUMPS),
    *both("tf.raw_ops.Div", lambda x, y: tf.raw_ops.Div(x=x, y=y), "whole", 0.3),
    *both("tf.complex, parts", lambda x, y: tf.complex(x, y), "zeros"),
]
_OTHERS = [
    *alone("add subtract multiply maximum minimum fmax fmin", ops, "keras.ops", "zeros"),
    *alone("divide true_divide divide_no_nan", ops, "keras.ops", "whole", 0.3),
    *alone("mod fmod floor_divide", ops, "keras.ops", "steps", 0.1),
    *alone("power", ops, "keras.ops", "positive", 0.3),
    *alone("logaddexp logaddexp2 hypot", ops, "keras.ops", "zeros"),
    *alone("arctan2", ops, "keras.ops", "whole", 0.3),
    *alone("add subtract multiply maximum minimum", tnp, "tnp", "zeros"),
    *alone("divide true_divide", tnp, "tnp", "whole", 0.3),
    *alone("mod remainder floor_divide", tnp, "tnp", "steps", 0.1),
    *alone("power float_power", tnp, "tnp", "positive", 0.3),
    *alone("logaddexp logaddexp2 hypot heaviside", tnp, "tnp", "zeros"),
    *alone("arctan2", tnp, "tnp", "whole", 0.3),
    entry("tnp.divmod", lambda x, y: tnp.divmod(x, y)[1], *_special["steps"], scale=0.1),
    entry("tf.raw_ops.TruncateMod", lambda x, y: tf.raw_ops.TruncateMod(x=x, y=y), *_special["steps"], scale=0.1),
    entry("tf.raw_ops.TruncateDiv", lambda x: tf.math.floordiv(x, tf.cast(2.0, x.dtype)), [0.3, 1.4, 5.1]),
    entry("keras.ops.logaddexp, far apart", ops.logaddexp, ([700.0, -30.0, 1.0], [0.0, 0.0, 1e-9])),
    entry("tnp.logaddexp, far apart", tnp.logaddexp, ([700.0, -30.0, 1.0], [0.0, 0.0, 1e-9])),
    entry("keras.ops.logaddexp, of one x", lambda x: ops.logaddexp(x, x[::-1]), A, ZERO, orders=3),
    entry("keras.ops.logaddexp, a constant", lambda x: ops.logaddexp(x, tf.cast(0.0, x.dtype)), A, ZERO, orders=3),
    entry("keras.ops.logaddexp2, a constant", lambda x: ops.logaddexp2(x, tf.cast(0.0, x.dtype)), A, ZERO, orders=3),
    entry("keras.ops.hypot, a constant", lambda x: ops.hypot(x, tf.cast(2.0, x.dtype)), A, ZERO, 2 * ONES, orders=3),
    entry("tnp.hypot, a constant", lambda x: tnp.hypot(x, tf.cast(2.0, x.dtype)), A, ZERO, 2 * ONES, orders=3),
    entry("keras.ops.hypot, broadcast", ops.hypot, ([0.5], BLOCK)),
    entry("keras.ops.hypot, large", ops.hypot, ([3e5, 1.0, 4e-3], [1.0, 3e5, 3e-3]), tolerance=1e-5),
    entry("keras.ops.ldexp", lambda x: ops.ldexp(x, tf.constant([2, -1, 3])), A, ZERO),
    entry("tnp.logaddexp, a constant", lambda x: tnp.logaddexp(x, 0.0), A, ZERO, orders=3),
    entry("tnp.logaddexp2, a constant", lambda x: tnp.logaddexp2(x, 0.0), A, ZERO, orders=3),
]
ENTRIES = [*_TF, *_OTHERS]
