"""The graph of the Jacobian, as it is traced and as it is when simplified for export."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import tensorflow as tf

from ...derivatives.derivative import Derivative
from ...derivatives.operators import build
from ...errors import TfGradKitError
from ...export.canonical import canonicalize
from ...export.freeze import freeze
from ...graph.view import view
from ..blocks import Block, Details, Picture, Section, Text, table
from ..context import Context
from ..drawing import graph_svg
from ..folding import Folded, fold
from ..jacobians import floating_arguments
from ..numbers import count
from ..ops import Ops, needed, ops_of
from ..problems import problem

_LISTED = 24


def section(context: Context) -> Section:
    """Pictures before and after, and their ops by type."""
    picked = floating_arguments(context.points)
    derivative = build("jacobian", ("jacobian",), context.source, {"argnums": picked})
    specs = _one_point(context)
    before = _traced(context, derivative, specs)
    blocks: list[Block] = [
        Text(
            "For one point. Boxes are ops, or those of a layer; lines are tensors. Constants, reads of variables and "
            "ops that hand on what they get are counted, but not drawn."
        ),
        _picture("As traced", before, context, "before"),
    ]
    try:
        after = _simplified(context, derivative, specs)
    except (TfGradKitError, ValueError, TypeError, LookupError, tf.errors.OpError) as error:
        blocks += [problem("The graph can't be simplified", error), _counts(before, None)]
        return Section("graph", "Gradient graph", tuple(blocks), f"{count(before.total, 'op')}; not simplified")
    blocks += [_picture("Simplified: variables frozen, what is not needed left out", after, context, "after")]
    blocks.append(Details("Ops by type", (_counts(before, after),)))
    return Section("graph", "Gradient graph", tuple(blocks), f"{before.total:,} ops, {after.total:,} when simplified")


def _one_point(context: Context) -> list[Any]:
    batch = [1] if context.source.batched else []
    return tf.nest.map_structure(
        lambda leaf: tf.TensorSpec([*batch, *leaf.shape[1:]], leaf.dtype), context.points.arguments
    )


def _labels(context: Context, results: Sequence[Any]) -> list[str]:
    picked = floating_arguments(context.points)
    names = iter(context.input_names)
    by = [
        name
        for position, argument in enumerate(context.points.arguments)
        for _, name in zip(tf.nest.flatten(argument), names, strict=False)
        if position in picked
    ]
    blocks = [f"∂{y}/∂{x}" for y, x in product(context.output_names, by)]
    return blocks if len(blocks) == len(results) else [f"result {i}" for i in range(len(results))]


def _traced(context: Context, derivative: Derivative, specs: list[Any]) -> Ops:
    traced = view(derivative, *specs)
    inputs = {t.op.name: name for t, name in zip(traced.inputs, context.input_names, strict=True)}
    outputs = dict(zip(_labels(context, traced.outputs), (t.name for t in traced.outputs), strict=True))
    return ops_of(traced.graph.as_graph_def(), inputs, outputs, context.source.layer_names)


def _simplified(context: Context, derivative: Derivative, specs: list[Any]) -> Ops:
    leaves = tf.nest.flatten(specs)
    arguments = {f"x{i:04}": tf.TensorSpec(s.shape, s.dtype, name=f"x{i:04}") for i, s in enumerate(leaves)}

    def function(**named: tf.Tensor) -> dict[str, tf.Tensor]:
        results = derivative(*tf.nest.pack_sequence_as(specs, [named[name] for name in sorted(named)]))
        return {f"r{i:04}": result for i, result in enumerate(tf.nest.flatten(results))}

    frozen = freeze(function, arguments)
    ends = [frozen.outputs[name] for name in sorted(frozen.outputs)]
    graph = needed(canonicalize(frozen.graph), ends)
    inputs = dict(zip(sorted(arguments), context.input_names, strict=True))
    outputs = {label: f"{end}:0" for label, end in zip(_labels(context, ends), ends, strict=True)}
    return ops_of(graph, inputs, outputs, context.source.layer_names)


def _picture(title: str, ops: Ops, context: Context, name: str) -> Picture:
    folded = fold(ops, context.limits.nodes)
    alternative = f"{title}: {count(ops.total, 'op')}, most of them {_most(ops)}"
    return Picture(graph_svg(folded, alternative, name), alternative, f"{title}: {_told(ops, folded)}.", zoom=True)


def _told(ops: Ops, folded: Folded) -> str:
    drawn = sum(op.phase in ("forward", "gradient") for op in ops.drawn)
    boxes = sum(box.phase in ("forward", "gradient") for box in folded.boxes)
    text = f"{count(ops.total, 'op')}, {drawn:,} of them drawn"
    return text if folded.is_whole else f"{text}, folded into {count(boxes, 'box', 'boxes')}"


def _most(ops: Ops) -> str:
    return ", ".join(list(ops.counts)[:3])


def _counts(before: Ops, after: Ops | None) -> Block:
    kinds = list(dict.fromkeys([*before.counts, *(after.counts if after else ())]))
    columns = [before.counts, *([after.counts] if after else [])]
    rows = [(kind, *(f"{counts.get(kind, 0):,}" for counts in columns)) for kind in kinds[:_LISTED]]
    if rest := kinds[_LISTED:]:
        rows.append((f"{len(rest)} others", *(f"{sum(counts.get(k, 0) for k in rest):,}" for counts in columns)))
    rows.append(("all", *(f"{sum(counts.values()):,}" for counts in columns)))
    names = ("op", "as traced", *(("simplified",) if after else ()))
    return table("Ops by type", names, rows, (1, 2), (len(rows) - 1,))
