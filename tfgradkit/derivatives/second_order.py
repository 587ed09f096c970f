"""Second derivatives: the first ones, differentiated again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import tensorflow as tf

from ..arguments import is_scalar_sample, split
from .complex_numbers import refuse_real_of_complex
from .first_order import Parts, gradient
from .jacobian import jacobian_blocks, zero_block
from .problem import Problem
from .pullback import Tensors, bilinear, or_zeros, pullback


def hvp(problem: Problem) -> Parts:
    """Σ (∇²f) v of a scalar-valued f, shaped like x: the gradient of ⟨∇f, v⟩."""
    problem = problem.scalar("hvp")
    pull = pullback(partial(_flat_gradient, problem), problem.xs, has_aux=True)
    first: Parts = pull.aux
    # Where f does not depend on x, its second derivative is as absent as its first.
    # Of real values by complex arguments the gradient is TensorFlow's, and so is this.
    holomorphic = first["value"][0].dtype.is_complex
    found = bilinear(pull.product, problem.seeds) if holomorphic else pull.product(problem.seeds)
    products = [
        None if slope is None else or_zeros(p, x)
        for slope, p, x in zip(first["gradient"], found, problem.xs, strict=True)
    ]
    return {"value": first["value"], "hvp": products}


def hessian(problem: Problem) -> Parts:
    """∂²y/∂x², shaped y + x + x after the batch axis; without the 1 of a scalar-valued y."""
    problem = replace(problem, twice=True)
    pull = pullback(partial(_flat_slopes, problem), problem.xs, has_aux=True)
    slopes = problem.of(lambda xs, copies: _flat_slopes(replace(problem, copies=copies), xs)[0])
    _, second = jacobian_blocks(replace(slopes, options=replace(problem.options, unconnected="zero")), pull)
    first: Parts = pull.aux
    inputs = len(problem.xs)
    rows = range(0, len(second), inputs)
    return {
        "value": first["value"],
        "gradient": _where_connected(first["gradient"], [pull.ys[i : i + inputs] for i in rows], None),
        "hessian": _where_connected(first["gradient"], [second[i : i + inputs] for i in rows], [None] * inputs),
    }


def _where_connected(first: list[list[Any]], found: list[list[Any]], absent: Any) -> list[list[Any]]:
    """``found`` by y and x; ``absent`` where the first derivative is absent, since there is no connection."""
    return [
        [absent if known is None else item for known, item in zip(*pair, strict=True)]
        for pair in zip(first, found, strict=True)
    ]


def _flat_gradient(problem: Problem, xs: Tensors) -> tuple[Tensors, Parts]:
    """The gradient at ``xs``, zeros where there is no connection, and the parts of :func:`gradient`."""
    parts = gradient(replace(problem, xs=xs))
    return [or_zeros(slope, x) for slope, x in zip(parts["gradient"], xs, strict=True)], parts


def _flat_slopes(problem: Problem, xs: Tensors) -> tuple[Tensors, Parts]:
    """The first derivative of each y by each of ``xs``, zeros where there is no connection, and with the value by name.

    A gradient where y is scalar-valued, else a Jacobian.
    """
    problem = replace(problem, xs=xs)
    pull = pullback(problem.call, problem.xs)
    scalar = [is_scalar_sample(y, problem.batched) for y in pull.ys]
    refuse_real_of_complex(problem, pull.ys)
    holomorphic = all(x.dtype.is_complex for x in problem.xs)
    if all(scalar) and (holomorphic or not any(y.dtype.is_complex for y in pull.ys)):
        units = [[tf.ones_like(y) if i == k else None for k in range(len(pull.ys))] for i, y in enumerate(pull.ys)]
        blocks = [problem.filled_like_x(bilinear(pull.product, unit)) for unit in units]
    else:
        _, blocks = jacobian_blocks(replace(problem, options=replace(problem.options, mode="auto")), pull)
        blocks = [[_without_one(b, y, problem) for b in row] for row, y in zip(blocks, pull.ys, strict=True)]
    values = [tf.reshape(y, split(y, problem.batched)[0]) if s else y for y, s in zip(pull.ys, scalar, strict=True)]
    flat = [
        zero_block(y, x, problem) if block is None else block
        for y, row in zip(values, blocks, strict=True)
        for block, x in zip(row, problem.xs, strict=True)
    ]
    return flat, {"value": values, "gradient": blocks}


def _without_one(block: tf.Tensor | None, y: tf.Tensor, problem: Problem) -> tf.Tensor | None:
    """A block of a scalar-valued y has no axis for its 1."""
    drop = block is not None and is_scalar_sample(y, problem.batched) and y.shape.rank == 2
    return tf.squeeze(block, 1) if drop else block
