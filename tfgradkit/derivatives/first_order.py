"""First derivatives, each a few lines over the primitives.

Every operator takes a :class:`Point` and returns its parts by name, the value among them: the
twins pick what they need, and TensorFlow prunes the rest. A part is a list by y, by x, or nested, y outside.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from .jacobian import jacobian_blocks
from .point import Point, check_seeds
from .primitives import pullback, transposed

Parts = dict[str, Any]


def value(point: Point) -> Parts:
    """y."""
    return {"value": [tf.identity(y) for y in point.call(point.xs)]}


def vjp(point: Point) -> Parts:
    """Σ uᵀ ∂y/∂x, shaped like x."""
    pull = pullback(point.call, point.xs, linear=False)
    seeds = [tf.cast(seed, y.dtype) for seed, y in zip(point.seeds, pull.ys, strict=True)]
    check_seeds(seeds, pull.ys, "output_gradients", point.name)
    return {"value": pull.ys, "vjp": point.filled_like_x(pull.product(seeds))}


def jvp(point: Point) -> Parts:
    """Σ (∂y/∂x) v, shaped like y."""
    pull = pullback(point.call, point.xs)
    products = transposed(pull)(point.seeds)
    filled = [point.filled(p, partial(tf.zeros_like, y)) for p, y in zip(products, pull.ys, strict=True)]
    return {"value": pull.ys, "jvp": filled}


def gradient(point: Point) -> Parts:
    """∇f of a scalar-valued f, shaped like x."""
    point = point.scalar("gradient")
    pull = pullback(point.call, point.xs, linear=False)
    slopes = pull.product([tf.ones_like(pull.ys[0])])
    return {"value": pull.ys, "gradient": point.filled_like_x(slopes)}


def jacobian(point: Point) -> Parts:
    """∂y/∂x, shaped y + x after the batch axis."""
    pull, blocks = jacobian_blocks(point)
    return {"value": pull.ys, "jacobian": blocks}
