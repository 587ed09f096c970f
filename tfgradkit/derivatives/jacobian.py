"""All rows or all columns of a Jacobian, block by block: outputs outside, inputs inside."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from ..errors import GradientError
from .choices import Mode, Options
from .chunks import chunked
from .linear import Linear, linearized
from .plan import Step
from .point import Point
from .primitives import Pullback, pullback
from .shapes import size, split
from .sweeps import choose, passes

Blocks = list[list[tf.Tensor | None]]


def jacobian_blocks(point: Point, pull: Pullback | None = None) -> tuple[Pullback, Blocks]:
    """The function at ``point``, and ∂y/∂x as ``[y][x]``, each ``[B] + y + x``.

    The cheaper mode costs a pass for each input (forward) or each output (reverse).
    """
    pull = pull or pullback(point.call, point.xs)
    connected = connections(pull)
    linear = _direction(point, pull, connected)
    blocks: dict[tuple[int, int], tf.Tensor] = {}
    for index in range(len(linear.seeded)):
        others = [
            j for j in range(len(linear.likes)) if (connected[j][index] if linear.forward else connected[index][j])
        ]
        if others:
            found = _blocks_along(linear, index, others)
            blocks |= {(j, index) if linear.forward else (index, j): block for j, block in found.items()}
    return pull, [
        [point.filled(blocks.get((i, j)), partial(_zeros, y, x, point)) for j, x in enumerate(point.xs)]
        for i, y in enumerate(pull.ys)
    ]


def connections(pull: Pullback) -> list[list[bool]]:
    """For each y, which xs it depends on."""
    return [_connected(pull, i) for i in range(len(pull.ys))]


def _connected(pull: Pullback, index: int) -> list[bool]:
    seeds = [tf.zeros_like(y) if i == index else None for i, y in enumerate(pull.ys)]
    return [partial is not None for partial in pull.product(seeds)]


def _direction(point: Point, pull: Pullback, connected: list[list[bool]]) -> Linear:
    inputs = [size(split(x, point.batched)[1]) for j, x in enumerate(point.xs) if any(row[j] for row in connected)]
    outputs = [size(split(y, point.batched)[1]) for y, row in zip(pull.ys, connected, strict=True) if any(row)]
    # The transpose of a gradient of a loop is a third loop in a loop, which XLA does not compile.
    by_loops = pull.loops and point.options.mode == "auto"
    if by_loops or pick_mode(point.options, sum(inputs), sum(outputs)) == "reverse":
        return linearized(point, False, pull)
    try:
        return linearized(point, True, pull)
    except GradientError:
        # An op whose gradient has no gradient of its own: reverse mode doesn't need that.
        if point.options.mode != "auto":
            raise
        return linearized(point, False, pull)


def pick_mode(options: Options, inputs: Any, outputs: Any) -> Mode:
    """Forward costs one pass an input, reverse one an output; ``options.tie`` where that is the same."""
    if options.mode != "auto":
        return options.mode
    if not (isinstance(inputs, int) and isinstance(outputs, int)):
        return "reverse"
    return options.tie if inputs == outputs else "forward" if inputs < outputs else "reverse"


def _blocks_along(linear: Linear, index: int, others: list[int]) -> dict[int, tf.Tensor]:
    count, point = passes(linear, index), linear.point
    stacked, step = chunked(linear, index, count, choose(linear, count))
    point.log.append(Step("forward" if linear.forward else "reverse", *step))
    return {other: _block(linear, index, other, stacked[other]) for other in others}


def _block(linear: Linear, index: int, other: int, stacked: tf.Tensor) -> tf.Tensor:
    """``[seeds, B, *result]`` → ``[B, *y, *x]``, in the dtype of y."""
    point = linear.point
    batch, result = split(linear.likes[other], point.batched)
    y = linear.pull.ys[other if linear.forward else index]
    if linear.forward:
        # TensorFlow's gradient of a complex function is the conjugate; the Jacobian is that in both modes.
        stacked = tf.math.conj(stacked) if y.dtype.is_complex else stacked
        block = tf.transpose(stacked, [*range(1, stacked.shape.rank), 0])
        shape = batch + result + linear.sample(index)
    else:
        rank = stacked.shape.rank
        block = tf.transpose(stacked, [1, 0, *range(2, rank)]) if point.batched else stacked
        shape = batch + linear.sample(index) + result
    # Where x and y differ in dtype, so do the two modes; the result has that of y.
    return tf.cast(tf.reshape(block, shape), y.dtype)


def _zeros(y: tf.Tensor, x: tf.Tensor, point: Point) -> tf.Tensor:
    batch, outputs = split(y, point.batched)
    return tf.zeros(batch + outputs + split(x, point.batched)[1], y.dtype)
