"""Sweeps in chunks, so that intermediate results stay under a number of bytes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .linear import Linear
from .primitives import Tensors
from .shapes import dims
from .sweeps import Choice, sweep

# What a plan says of a sweep: strategy, passes, chunk, bytes, reason.
Facts = tuple[str, int | None, int | None, int, str]


def chunked(linear: Linear, index: int, count: Any, choice: Choice) -> tuple[Tensors, Facts]:
    """The results for all ``count`` unit seeds of a tensor, and how they came."""
    chunk = linear.point.options.chunk_size
    # A pass keeps the results of the function, and about as much again of its derivative.
    bytes_a_seed = 2 * linear.pull.sample_bytes
    known = count if isinstance(count, int) else None
    if not isinstance(chunk, int) or (known is not None and chunk >= known):
        stacked, choice = sweep(linear, index, range(count) if known is not None else tf.range(count), choice)
        return stacked, (choice.strategy, known, None, bytes_a_seed, choice.reason)
    stacked, choice = _in_chunks(linear, index, count, chunk if known else tf.minimum(chunk, count), choice)
    return stacked, (choice.strategy, known, chunk, bytes_a_seed, choice.reason)


def _in_chunks(linear: Linear, index: int, count: Any, size: Any, choice: Choice) -> tuple[Tensors, Choice]:
    """A loop of the graph, one chunk at a time, each written to its place in the results.

    To its place, since a list of chunks, joined at the end, would need the memory of the results twice.
    The last chunk begins earlier, so that it is whole.
    """
    used = [choice]

    def body(first: tf.Tensor, *results: tf.Tensor) -> Any:
        start = tf.minimum(first, count - size)
        ids = start + tf.range(size)
        part, used[0] = sweep(linear, index, ids, choice)
        written = [tf.tensor_scatter_nd_update(r, ids[:, None], p) for r, p in zip(results, part, strict=True)]
        return first + size, *written

    empty = [tf.zeros([count, *dims(like)], like.dtype) for like in linear.likes]
    shapes = [tf.TensorShape([None if not isinstance(count, int) else count, *like.shape]) for like in linear.likes]
    _, *results = tf.while_loop(
        lambda first, *_: first < count,
        body,
        (tf.constant(0), *empty),
        shape_invariants=(tf.TensorShape([]), *shapes),
        parallel_iterations=1,
        maximum_iterations=-(-count // size) if isinstance(count, int) and isinstance(size, int) else None,
    )
    return results, used[0]
