"""Derivatives by variables for each sample of a batch: the function of one sample, mapped over the samples.

A variable belongs to all samples, so a seed for the whole batch would give the sum over them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ..differentiable import Differentiable
from ..errors import SignatureError
from .choices import Options
from .first_order import Parts
from .point import Point
from .selection import batch_axis, is_batched, select
from .sweeps import not_vectorized


def per_sample(
    source: Differentiable,
    options: Options,
    arguments: Sequence[Any],
    point: Point,
    rule: Callable[[Point], Parts],
    operator: str,
) -> Parts:
    """``rule`` for each sample: every part has the batch as its first axis."""
    batch = batch_axis(options, arguments)
    flat = tf.nest.flatten(list(arguments))
    mapped = [i for i, leaf in enumerate(flat) if is_batched(leaf, batch)]
    # Gradients of results are a sample's; tangents of variables are everybody's.
    own_seeds = operator == "vjp"
    skeleton: list[Any] = []

    def one(rows: list[tf.Tensor]) -> list[tf.Tensor]:
        filled = list(flat)
        for position, row in zip(mapped, rows, strict=False):
            filled[position] = row[None]
        selection = select(source, options, tf.nest.pack_sequence_as(list(arguments), filled))
        seeds = rows[len(mapped) :] if own_seeds else point.seeds
        own = replace(point, f=_first_row(selection.f, operator), seeds=seeds, batched=False)
        parts = rule(own)
        skeleton[:] = [tf.nest.map_structure(lambda t: t is not None, parts)]
        return [t for t in tf.nest.flatten(parts) if t is not None]

    rows = [flat[i] for i in mapped] + (list(point.seeds) if own_seeds else [])
    if options.strategy == "loop":
        results = _loop(one, rows)
    else:
        try:
            results = tf.vectorized_map(one, rows, fallback_to_while_loop=False)
        except (ValueError, TypeError, NotImplementedError) as error:
            if isinstance(error, SignatureError):  # of the function itself
                raise
            if options.strategy == "vectorize":
                hint = 'strategy="loop", or "auto", which loops where it has to'
                raise not_vectorized(source.name, error, hint) from error
            results = _loop(one, rows)
    found = iter(results)
    return tf.nest.map_structure(lambda there: next(found) if there else None, skeleton[0])


def _first_row(f: Callable[..., Any], operator: str) -> Callable[..., Any]:
    """f of one sample; a result [B, 1] counts as scalar-valued where it does for a batch."""
    scalars = operator in ("gradient", "hvp", "hessian")

    def call(xs: Any, copies: Any) -> Any:
        rows = [tf.squeeze(y, 0) for y in f(xs, copies)]
        return [tf.reshape(row, []) if scalars and row.shape == [1] else row for row in rows]

    return call


def _loop(one: Callable[[list[tf.Tensor]], list[tf.Tensor]], rows: list[tf.Tensor]) -> list[tf.Tensor]:
    # The first sample once more, for shapes and dtypes.
    signature = [tf.TensorSpec(t.shape, t.dtype) for t in one([row[0] for row in rows])]
    return tf.map_fn(one, rows, fn_output_signature=signature)
