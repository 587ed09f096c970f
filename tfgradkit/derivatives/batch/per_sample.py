"""Derivatives by variables for each sample of a batch: the function of one sample, mapped over the samples.

A variable belongs to all samples, so a seed for the whole batch would give the sum over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import tensorflow as tf

from ...errors import SignatureError
from ...graph.converters import NotVectorizedError, UserFunction, vectorized_map
from ...graph.interpret import added
from ...graph.ops import LOOPS, everywhere, functions_of
from ..first_order import Parts
from ..problem import Problem, batch_axis, is_batched, select
from ..sweep.seeded_products import not_vectorized

# A loop can't return None: this dtype, which no derivative has, stands for it.
_NONE = tf.int8


def per_sample(problem: Problem, operator: str, rule: Callable[[Problem], Parts]) -> Parts:
    """``rule`` for each sample: every part has the batch as its first axis."""
    batch = batch_axis(problem.options, problem.arguments)
    flat = tf.nest.flatten(list(problem.arguments))
    mapped = [i for i, leaf in enumerate(flat) if is_batched(leaf, batch)]
    # Each sample has output gradients of its own; tangents of variables belong to all samples.
    own_seeds = list(problem.seeds) if operator == "vjp" else []
    by_chance = looped = False

    def one(rows: list[tf.Tensor]) -> Parts:
        nonlocal by_chance, looped
        filled = list(flat)
        for position, row in zip(mapped, rows, strict=False):
            filled[position] = row[None]
        sample = _at(problem, filled, partial(tf.squeeze, axis=0), rows[len(mapped) :] if own_seeds else None, operator)
        parts, operations = added(rule, sample)
        inner = list(everywhere(operations))
        by_chance |= any(map(_draws_from_seed, inner))
        if problem.options.strategy == "auto" and not looped and any(op.type in LOOPS for op in inner):
            looped = True  # the next time it is one sample after the other
            raise NotVectorizedError("a loop on the way")
        return _without_none(parts)

    def one_of_all(rows: list[tf.Tensor]) -> Parts:
        seeds = rows[1:] if own_seeds else None
        return _without_none(rule(_at(problem, flat, lambda y: tf.gather(y, rows[0]), seeds, operator)))

    parts = _mapped(one, [flat[i] for i in mapped] + own_seeds, problem)
    if by_chance:
        # A sample's random numbers depend on its place in the batch: a batch of one has those of the first.
        parts = _mapped(one_of_all, [tf.range(tf.shape(flat[mapped[0]])[0]), *own_seeds], problem)
    return tf.nest.map_structure(lambda part: None if part.dtype == _NONE else part, parts)


def _without_none(parts: Parts) -> Parts:
    return tf.nest.map_structure(lambda part: tf.zeros([], _NONE) if part is None else part, parts)


def _draws_from_seed(operation: Any) -> bool:
    """Whether an op makes the same random numbers at every call, as many as its shape says."""
    return operation.type.startswith("Stateless") and not functions_of(operation)


def _at(
    problem: Problem, arguments: list[Any], row: Callable[[Any], Any], seeds: list[tf.Tensor] | None, operator: str
) -> Problem:
    """The problem of one sample: the ``row`` of the results for ``arguments``, which are flat.

    A result [B, 1] counts as scalar-valued where it does for a batch.
    """
    assert problem.source is not None
    selected = select(problem.source, problem.options, tf.nest.pack_sequence_as(list(problem.arguments), arguments))
    scalars = operator in ("gradient", "hvp", "hessian")

    def call(xs: Any, copies: Any) -> Any:
        rows = [row(y) for y in selected.f(xs, copies)]
        return [tf.reshape(y, []) if scalars and y.shape == [1] else y for y in rows]

    return replace(problem, f=call, seeds=problem.seeds if seeds is None else seeds, batched=False)


def _mapped(one: Callable[[list[tf.Tensor]], Parts], rows: list[tf.Tensor], problem: Problem) -> Parts:
    """``one`` for each row of ``rows``.

    Raises:
        GradientError: ``strategy="vectorize"``, and an op can't be vectorized.
    """
    strategy = problem.options.strategy
    if strategy == "loop":
        return _looped(one, rows)
    try:
        return vectorized_map(UserFunction(one), rows)
    except (ValueError, TypeError, NotImplementedError) as error:
        if isinstance(error, SignatureError):  # of the function itself
            raise
        if strategy == "vectorize":
            hint = 'strategy="loop", or "auto", which loops where it has to'
            raise not_vectorized(problem.name, error, hint) from error
        return _looped(one, rows)


def _looped(one: Callable[[list[tf.Tensor]], Parts], rows: list[tf.Tensor]) -> Parts:
    # The first sample once more, for shapes and dtypes.
    like = one([row[0] for row in rows])
    return tf.map_fn(one, rows, fn_output_signature=tf.nest.map_structure(tf.TensorSpec.from_tensor, like))
