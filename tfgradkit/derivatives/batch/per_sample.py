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
from ...graph.trace import flat_function
from ..first_order import Parts
from ..problem import Problem, batch_axis, is_batched, select
from ..sweep.seeded_products import not_vectorized

# A loop can't return None: this dtype, which no derivative has, stands for it.
_NONE = tf.int8


def per_sample(problem: Problem, operator: str, rule: Callable[[Problem], Parts]) -> Parts:
    """``rule`` for each sample: every part has the batch as its first axis."""
    source, options = problem.source, problem.options
    assert source is not None
    batch = batch_axis(options, problem.arguments)
    select_for, mapped = flat_function(
        partial(select, source, options), list(problem.arguments), lambda leaf: is_batched(leaf, batch)
    )
    # Gradients of results are a sample's; tangents of variables are everybody's.
    own_seeds = operator == "vjp"

    def one(rows: list[tf.Tensor]) -> Parts:
        selected = select_for(*(row[None] for row in rows[: len(mapped)]))
        seeds = rows[len(mapped) :] if own_seeds else problem.seeds
        parts = rule(replace(problem, f=_first_row(selected.f, operator), seeds=seeds, batched=False))
        return tf.nest.map_structure(lambda part: tf.zeros([], _NONE) if part is None else part, parts)

    parts = _mapped(one, mapped + (list(problem.seeds) if own_seeds else []), problem)
    return tf.nest.map_structure(lambda part: None if part.dtype == _NONE else part, parts)


def _first_row(f: Callable[..., Any], operator: str) -> Callable[..., Any]:
    """f of one sample; a result [B, 1] counts as scalar-valued where it does for a batch."""
    scalars = operator in ("gradient", "hvp", "hessian")

    def call(xs: Any, copies: Any) -> Any:
        rows = [tf.squeeze(y, 0) for y in f(xs, copies)]
        return [tf.reshape(row, []) if scalars and row.shape == [1] else row for row in rows]

    return call


def _mapped(one: Callable[[list[tf.Tensor]], Parts], rows: list[tf.Tensor], problem: Problem) -> Parts:
    """``one`` for each row of ``rows``.

    Raises:
        GradientError: ``strategy="vectorize"``, and an op can't be vectorized.
    """
    strategy = problem.options.strategy
    if strategy == "loop":
        return _looped(one, rows)
    try:
        return tf.vectorized_map(one, rows, fallback_to_while_loop=False)
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
