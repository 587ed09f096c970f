"""Second derivatives: the first ones, differentiated again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import tensorflow as tf

from .first_order import Parts, gradient
from .jacobian import jacobian_blocks
from .point import Point, PointFunction, or_zeros
from .primitives import Tensors, pullback
from .shapes import is_scalar_sample, split


def hvp(point: Point) -> Parts:
    """Σ (∇²f) v of a scalar-valued f, shaped like x: the gradient of ⟨∇f, v⟩."""
    kept: Parts = {}
    point = point.scalar("hvp")
    pull = pullback(point.of(_keeping(_flat_gradient, point, kept)).call, point.xs)
    # Where f does not depend on x, its second derivative is as absent as its first.
    products = [
        None if slope is None else or_zeros(p, x)
        for slope, p, x in zip(kept["gradient"], pull.product(point.seeds), point.xs, strict=True)
    ]
    return {"value": kept["value"], "hvp": products}


def hessian(point: Point) -> Parts:
    """∂²y/∂x², shaped y + x + x after the batch axis; without the 1 of a scalar-valued y."""
    kept: Parts = {}
    slopes = point.of(_keeping(_slopes, point, kept))
    pull, second = jacobian_blocks(replace(slopes, options=replace(point.options, unconnected="zero")))
    first = kept["gradient"]
    inputs = len(point.xs)
    return {
        "value": kept["value"],
        "gradient": _where_connected(first, [pull.ys[i : i + inputs] for i in range(0, len(pull.ys), inputs)], None),
        "hessian": _where_connected(
            first, [second[i : i + inputs] for i in range(0, len(second), inputs)], [None] * inputs
        ),
    }


def _where_connected(first: list[list[Any]], found: list[list[Any]], absent: Any) -> list[list[Any]]:
    """``found`` by y and x, ``absent`` where the first derivative is: where there is no connection."""
    return [
        [absent if known is None else item for known, item in zip(*pair, strict=True)]
        for pair in zip(first, found, strict=True)
    ]


def _keeping(rule: Callable[[Point], tuple[Parts, Tensors]], point: Point, kept: Parts) -> PointFunction:
    """``rule``'s flat derivative as a function of x; its parts go into ``kept`` the first time."""

    def call(xs: Tensors, copies: Any) -> Tensors:
        parts, flat = rule(replace(point, xs=xs, copies=copies))
        for name, part in parts.items():
            kept.setdefault(name, part)
        return flat

    return call


def _flat_gradient(point: Point) -> tuple[Parts, Tensors]:
    parts = gradient(point)
    return parts, [or_zeros(slope, x) for slope, x in zip(parts["gradient"], point.xs, strict=True)]


def _slopes(point: Point) -> tuple[Parts, Tensors]:
    """The first derivative of each y: a gradient where it is scalar-valued, else a Jacobian."""
    pull = pullback(point.call, point.xs)
    scalar = [is_scalar_sample(y, point.batched) for y in pull.ys]
    if all(scalar):
        units = [[tf.ones_like(y) if i == k else None for k in range(len(pull.ys))] for i, y in enumerate(pull.ys)]
        blocks = [point.filled_like_x(pull.product(unit)) for unit in units]
    else:
        _, blocks = jacobian_blocks(replace(point, options=replace(point.options, mode="auto")), pull)
        blocks = [[_without_one(b, y, point) for b in row] for row, y in zip(blocks, pull.ys, strict=True)]
    values = [tf.reshape(y, split(y, point.batched)[0]) if s else y for y, s in zip(pull.ys, scalar, strict=True)]
    flat = [
        _zeros(y, x, point) if block is None else block
        for y, row in zip(values, blocks, strict=True)
        for block, x in zip(row, point.xs, strict=True)
    ]
    return {"value": values, "gradient": blocks}, flat


def _without_one(block: tf.Tensor | None, y: tf.Tensor, point: Point) -> tf.Tensor | None:
    """A block of a scalar-valued y has no axis for its 1."""
    drop = block is not None and is_scalar_sample(y, point.batched) and y.shape.rank == 2
    return tf.squeeze(block, 1) if drop else block


def _zeros(y: tf.Tensor, x: tf.Tensor, point: Point) -> tf.Tensor:
    batch, outputs = split(y, point.batched)
    return tf.zeros(batch + outputs + split(x, point.batched)[1], y.dtype)
