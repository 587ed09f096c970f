"""``memory_limit`` and ``chunk_size="auto"``: a few samples at a time, so that intermediate results stay small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ...arguments import dims
from ...differentiable import Differentiable
from ...graph.dependence import sample_bytes
from ...graph.interpret import added
from ...graph.trace import flat_function
from ..evaluate import Evaluated, evaluate
from ..options import Options
from ..problem import batch_axis, is_batched
from .plan import PlanStep

# What "auto" keeps to where no memory_limit is given.
DEFAULT_LIMIT = 256 << 20

Leaves = list[tf.Tensor]


def evaluate_within_limit(
    source: Differentiable,
    operator: str,
    parts: tuple[str, ...],
    options: Options,
    arguments: Sequence[Any],
    seed: Any = None,
    *,
    inlined: bool,
    extra: dict[str, Any],
    sample_arguments: Any = None,
) -> Evaluated:
    """The results of :func:`evaluate`, for as many samples at a time, and then seeds, as there is memory for.

    A first evaluation of the whole batch only tells the memory of all results, and is pruned from the graph.
    """
    batch = batch_axis(options, arguments)
    refilled, rows = flat_function(tuple, (list(arguments), seed), lambda leaf: is_batched(leaf, batch))
    limit = options.memory_limit or DEFAULT_LIMIT
    options = replace(
        options, memory_limit=None, chunk_size=options.chunk_size if isinstance(options.chunk_size, int) else None
    )
    known = {"inlined": inlined, "extra": extra, "sample_arguments": sample_arguments}

    def evaluated(rows: Leaves, options: Options, judge: bool) -> Evaluated:
        return evaluate(source, operator, parts, options, *refilled(*rows), **{**known, "judge": judge})

    whole, operations = added(lambda rows: evaluated(rows, options, True), rows)
    needed = _bytes_a_sample(operations)
    options = _with_chunks(options, whole.steps, limit / needed)
    steps = whole.steps

    def group(rows: Leaves) -> Leaves:
        nonlocal steps  # of a group
        found = evaluated(rows, options, False)
        steps = found.steps
        return _tensors(found.parts)

    compiled = inlined or options.jit_compile is True
    results = iter(_in_groups(group, rows, max(1, limit // needed), _tensors(whole.parts), compiled=compiled))
    computed = tf.nest.map_structure(lambda part: None if part is None else next(results), whole.parts)
    return replace(whole, parts=computed, steps=steps)


def _tensors(parts: Any) -> Leaves:
    return [part for part in tf.nest.flatten(parts) if part is not None]


def _bytes_a_sample(operations: Sequence[Any]) -> int:
    """Bytes that ``operations`` take for one sample.

    All results, which are not all alive at a time, and once more as much for the scratch of kernels and
    what the allocator keeps: measured, the growth of the process stays below that.
    """
    return max(1, 2 * sample_bytes(operations))


def _with_chunks(options: Options, steps: Sequence[PlanStep], share: float) -> Options:
    """Where a single sample needs more than the limit, its seeds come in chunks, too."""
    passes = max((step.passes or 1 for step in steps), default=1)
    if share >= 1 or passes == 1:
        return options
    affordable = max(1, int(passes * share))
    return replace(options, chunk_size=min(options.chunk_size or affordable, affordable))


def _in_groups(
    evaluate: Callable[[Leaves], Leaves],
    leaves: Leaves,
    samples: int,
    like: Sequence[tf.Tensor],
    *,
    compiled: bool,
) -> Leaves:
    """``evaluate`` for groups of at most ``samples`` samples of ``leaves``, results as of the whole batch.

    Results are written to their place, since groups joined at the end would need their memory twice.
    The last group begins earlier, so that all are of one size.

    Args:
        evaluate: from rows of the leaves to rows of the results.
        like: tensors shaped like the results.
        compiled: whether XLA may compile the graph; it has no ops that write in place, and needs none.
    """
    write = _scattered if compiled else _in_place
    batch = dims(leaves[0])[0]
    if isinstance(batch, int) and batch == 0:
        return [tf.zeros([0, *dims(result)[1:]], result.dtype) for result in like]
    size = min(samples, batch) if isinstance(batch, int) else tf.minimum(samples, batch)

    def body(first: tf.Tensor, *results: tf.Tensor) -> Any:
        places = tf.minimum(first, batch - size) + tf.range(size)
        parts = evaluate([_rows(leaf, places[0], size) for leaf in leaves])
        return first + size, *(write(r, places, p) for r, p in zip(results, parts, strict=True))

    shapes = [[batch, *dims(result)[1:]] for result in like]
    # Empty is never folded to a constant, which another thread would write into.
    results = [
        tf.zeros(shape, r.dtype) if compiled else tf.raw_ops.Empty(shape=tf.stack(shape), dtype=r.dtype)
        for shape, r in zip(shapes, like, strict=True)
    ]
    for result, r in zip(results, like, strict=True):
        result.set_shape([leaves[0].shape[0], *r.shape[1:]])
    _, *results = tf.while_loop(
        lambda first, *_: first < batch,
        body,
        (tf.constant(0), *results),
        shape_invariants=(tf.TensorShape([]), *(tf.TensorShape([leaves[0].shape[0], *r.shape[1:]]) for r in like)),
        parallel_iterations=1,
        maximum_iterations=-(-batch // size) if isinstance(batch, int) else None,
    )
    return results


def _rows(leaf: tf.Tensor, first: tf.Tensor, size: Any) -> tf.Tensor:
    rows = tf.slice(leaf, [first, *[0] * (leaf.shape.rank - 1)], [size, *[-1] * (leaf.shape.rank - 1)])
    rows.set_shape([size if isinstance(size, int) else None, *leaf.shape[1:]])
    return rows


def _scattered(rows: tf.Tensor, places: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    return tf.tensor_scatter_nd_update(rows, places[:, None], part)


@tf.custom_gradient
def _in_place(rows: tf.Tensor, places: tf.Tensor, part: tf.Tensor) -> Any:
    """``rows`` with those at ``places`` replaced, in the same memory: a scatter would copy all of it each time."""

    def back(upstream: tf.Tensor) -> tuple[tf.Tensor, None, tf.Tensor]:
        return _scattered(upstream, places, tf.zeros_like(part)), None, tf.gather(upstream, places)

    return tf.raw_ops.InplaceUpdate(x=rows, i=places, v=part), back
