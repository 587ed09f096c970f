"""``memory_limit`` and ``chunk_size="auto"``: as many samples at a time, and then seeds, as there is memory for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from .choices import Options
from .samples import DEFAULT_LIMIT, bytes_a_sample, in_groups
from .selection import batch_axis, is_batched


def within_limit(
    whole: Callable[..., Any], options: Options, arguments: Sequence[Any], seed: Any, *, inlined: bool
) -> Any:
    """What ``whole(arguments, seed, options)`` evaluates to, over groups of samples.

    The first evaluation only tells what everything takes, and is pruned from the graph.
    """
    flat = tf.nest.flatten((list(arguments), seed))
    batch = batch_axis(options, arguments)
    batched = [i for i, leaf in enumerate(flat) if is_batched(leaf, batch)]
    kept: list[Any] = []

    def evaluate(rows: list[tf.Tensor], options: Options = options) -> list[tf.Tensor]:
        filled = list(flat)
        for place, row in zip(batched, rows, strict=True):
            filled[place] = row
        kept.append(whole(*tf.nest.pack_sequence_as((list(arguments), seed), filled), options))
        return [part for part in tf.nest.flatten(kept[-1].parts) if part is not None]

    rows = [flat[i] for i in batched]
    limit = options.memory_limit or DEFAULT_LIMIT
    needed = bytes_a_sample(evaluate, rows)
    options = _with_chunks(options, kept[0].steps, limit / needed)
    like = [part for part in tf.nest.flatten(kept[0].parts) if part is not None]
    compiled = inlined or options.jit_compile is True
    groups = in_groups(lambda r: evaluate(r, options), rows, max(1, limit // needed), like, compiled=compiled)
    results = iter(groups)
    parts = tf.nest.map_structure(lambda part: None if part is None else next(results), kept[0].parts)
    return replace(kept[0], parts=parts, steps=kept[-1].steps)


def _with_chunks(options: Options, steps: Sequence[Any], share: float) -> Options:
    """Where a single sample needs more than the limit, its seeds come in chunks, too."""
    passes = max((step.passes or 1 for step in steps), default=1)
    if share >= 1 or passes == 1:
        return replace(options, chunk_size=options.chunk_size if isinstance(options.chunk_size, int) else None)
    affordable = max(1, int(passes * share))
    asked = options.chunk_size if isinstance(options.chunk_size, int) else affordable
    return replace(options, chunk_size=min(asked, affordable))
