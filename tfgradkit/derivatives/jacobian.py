"""All rows or all columns of a Jacobian, block by block: outputs outside, inputs inside."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from ..arguments import size, split
from ..errors import GradientError
from .complex_numbers import complex_mode
from .problem import Problem
from .pullback import Partials, Pullback, any_seed, pullback
from .sweep.plan import PlanStep
from .sweep.seeded_products import SeededProduct, linearized, swept

Blocks = list[list[tf.Tensor | None]]


def jacobian(problem: Problem) -> dict[str, Any]:
    """∂y/∂x, shaped y + x after the batch axis."""
    pull, blocks = jacobian_blocks(problem)
    return {"value": pull.ys, "jacobian": blocks}


def jacobian_blocks(problem: Problem, pull: Pullback | None = None) -> tuple[Pullback, Blocks]:
    """The function of ``problem`` there, and ∂y/∂x as ``[y][x]``, each ``[B] + y + x``.

    The cheaper mode costs a pass for each input (forward) or each output (reverse).
    """
    pull = pull or pullback(problem.call, problem.xs)
    connected = connections(pull)
    product = _direction(problem, pull, connected)
    blocks: dict[tuple[int, int], tf.Tensor] = {}
    for index, reached in enumerate(zip(*connected, strict=True) if product.forward else connected):
        if any(reached):
            stacked, facts = swept(product, index)
            problem.log.append(PlanStep("forward" if product.forward else "reverse", *facts))
            for other, result in enumerate(stacked):
                if reached[other]:
                    place = (other, index) if product.forward else (index, other)
                    blocks[place] = _block(product, index, other, result)
    rows: Blocks = []
    for i, y in enumerate(pull.ys):
        rows.append([])
        for j, x in enumerate(problem.xs):
            block = blocks.get((i, j))
            rows[i].append(problem.filled(None, partial(zero_block, y, x, problem)) if block is None else block)
    return pull, rows


def connections(pull: Pullback) -> list[list[bool]]:
    """For each y, which xs it depends on."""
    connected = []
    for i, y in enumerate(pull.ys):
        seeds: Partials = [None] * len(pull.ys)
        seeds[i] = any_seed(y)
        connected.append(list(map(tf.is_tensor, pull.product(seeds))))
    return connected


def _direction(problem: Problem, pull: Pullback, connected: list[list[bool]]) -> SeededProduct:
    """Forward costs one pass an input, reverse one an output."""
    mode = problem.options.mode
    for tensor in (*problem.xs, *pull.ys):
        if tensor.dtype.is_complex:
            mode = complex_mode(problem, pull.ys, connected, mode)
            break
    # The transpose of a gradient of a loop is a third loop in a loop, which XLA does not compile.
    if mode == "auto" and not pull.loops:
        inputs = _elements(problem, problem.xs, map(any, zip(*connected, strict=True)))
        outputs = _elements(problem, pull.ys, map(any, connected))
        if isinstance(inputs, int) and isinstance(outputs, int):
            mode = "forward" if inputs < outputs else "reverse"
            mode = problem.options.prefer_mode_when_equal if inputs == outputs else mode
    if mode != "forward":
        return linearized(problem, False, pull)
    try:
        return linearized(problem, True, pull)
    except GradientError:
        # An op whose gradient has no gradient of its own: reverse mode doesn't need that.
        if problem.options.mode != "auto" or any(
            x.dtype.is_complex != y.dtype.is_complex for x in problem.xs for y in pull.ys
        ):
            raise
        return linearized(problem, False, pull)


def _elements(problem: Problem, tensors: list[tf.Tensor], picked: Any) -> Any:
    """How many elements the picked tensors have in a sample."""
    count: Any = 0
    for tensor, there in zip(tensors, picked, strict=True):
        count = count + size(split(tensor, problem.batched)[1]) if there else count
    return count


def _block(product: SeededProduct, index: int, other: int, stacked: tf.Tensor) -> tf.Tensor:
    """``[seeds, B, *result]`` → ``[B, *y, *x]``, in the dtype of y."""
    problem = product.problem
    batch, result = split(product.likes[other], problem.batched)
    y = product.pull.ys[other if product.forward else index]
    if product.forward:
        block = tf.transpose(stacked, [*range(1, stacked.shape.rank), 0])
        shape = batch + result + product.sample(index)
    else:
        rank = stacked.shape.rank
        # TensorFlow's gradient of a complex function is the conjugate.
        stacked = tf.math.conj(stacked) if stacked.dtype.is_complex else stacked
        block = tf.transpose(stacked, [1, 0, *range(2, rank)]) if problem.batched else stacked
        shape = batch + product.sample(index) + result
    # Where x and y differ in dtype, so do the two modes; the result has that of y, unless x alone is complex.
    block = tf.reshape(block, shape)
    return block if block.dtype.is_complex and not y.dtype.is_complex else tf.cast(block, y.dtype)


def zero_block(y: tf.Tensor, x: tf.Tensor, problem: Problem) -> tf.Tensor:
    """Zeros ``[B, *y, *x]``."""
    batch, outputs = split(y, problem.batched)
    dtype = x.dtype if x.dtype.is_complex and not y.dtype.is_complex else y.dtype
    return tf.zeros(batch + outputs + split(x, problem.batched)[1], dtype)
