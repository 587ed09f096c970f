"""The graph of the Jacobian, as it is traced and as it is with all done ahead of time that can be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import tensorflow as tf

from ...derivatives.derivative import Derivative
from ...derivatives.operators import build
from ...errors import TfGradKitError
from ...graph.simplify import simplify
from ...graph.view import view
from ..blocks import Block, Details, Picture, Section, Text, table
from ..context import Context
from ..drawing import graph_svg
from ..folding import fold
from ..jacobians import floating_arguments
from ..numbers import count, short
from ..ops import Ops, ops_of
from ..problems import problem

_LISTED = 24
_AFTER = "Simplified: variables frozen, constants folded, what occurs twice joined, what is not needed left out"


def section(context: Context) -> Section:
    """Pictures before and after, and their ops by type."""
    derivative = build("jacobian", ("jacobian",), context.source, {"argnums": floating_arguments(context.points)})
    specs = _one_point(context)
    before = _traced(context, derivative, specs)
    blocks: list[Block] = [
        Text(
            "For one point. Boxes are ops, or those of a layer, blue where they belong to its gradient; lines are "
            "tensors. Constants, reads of variables and ops that hand on what they get are counted, but not drawn."
        ),
        _picture("As traced", before, context, "before"),
    ]
    try:
        after = _simplified(context, derivative, specs)
    except (TfGradKitError, ValueError, TypeError, LookupError, tf.errors.OpError) as error:
        blocks += [problem("The graph can't be simplified", error), _counts(before, None)]
        return Section("graph", "Gradient graph", tuple(blocks), f"{count(before.total, 'op')}; not simplified")
    blocks += [_picture(_AFTER, after, context, "after"), *_constant(context, after)]
    blocks.append(Details("Ops by type", (_counts(before, after),)))
    return Section("graph", "Gradient graph", tuple(blocks), f"{before.total:,} ops, {after.total:,} when simplified")


def _one_point(context: Context) -> list[Any]:
    batch = [1] if context.source.batched else []
    return tf.nest.map_structure(
        lambda leaf: tf.TensorSpec([*batch, *leaf.shape[1:]], leaf.dtype), context.points.arguments
    )


def _traced(context: Context, derivative: Derivative, specs: list[Any]) -> Ops:
    traced = view(derivative, *specs)
    return _ops(context, traced.graph, traced.inputs, traced.outputs)


def _simplified(context: Context, derivative: Derivative, specs: list[Any]) -> Ops:
    concrete = simplify(derivative, *specs)
    return _ops(context, concrete.graph, concrete.inputs, concrete.outputs)


def _ops(context: Context, graph: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> Ops:
    named = {tensor.op.name: name for tensor, name in zip(inputs, context.input_names, strict=False)}
    results = dict(zip(_labels(context, outputs), (tensor.name for tensor in outputs), strict=True))
    return ops_of(graph.as_graph_def(), named, results, context.source.layer_names)


def _labels(context: Context, results: Sequence[Any]) -> list[str]:
    """∂y/∂x for each block, outputs outside."""
    picked, names = floating_arguments(context.points), iter(context.input_names)
    by = []
    for position, argument in enumerate(context.points.arguments):
        own = [next(names) for _ in tf.nest.flatten(argument)]
        by += own if position in picked else []
    blocks = [f"∂{y}/∂{x}" for y, x in product(context.output_names, by)]
    return blocks if len(blocks) == len(results) else [f"result {i}" for i in range(len(results))]


def _picture(title: str, ops: Ops, context: Context, name: str) -> Picture:
    folded = fold(ops, context.limits.nodes)
    drawn = sum(op.phase in ("forward", "gradient") for op in ops.drawn)
    boxes = sum(box.phase in ("forward", "gradient") for box in folded.boxes)
    told = f"{count(ops.total, 'op')}, {drawn:,} of them drawn"
    caption = (
        f"{title}: {told}." if folded.is_whole else f"{title}: {told}, folded into {count(boxes, 'box', 'boxes')}."
    )
    alternative = f"{title}: {count(ops.total, 'op')}, most of them {', '.join(list(ops.counts)[:3])}"
    return Picture(graph_svg(folded, alternative, name), alternative, caption, zoom=True)


def _constant(context: Context, after: Ops) -> list[Block]:
    """The value of a derivative that needs no calculation any more."""
    if any(op.phase in ("forward", "gradient") for op in after.drawn):
        return []
    matrix = context.jacobians.matrix[0]
    rows = "; ".join(", ".join(short(float(v)) for v in row) for row in matrix)
    value = f"it is {rows} (rows are outputs)" if matrix.size <= _LISTED else "the heat map shows it"
    return [Text(f"No computation is left: the derivative is the same everywhere; {value}.")]


def _counts(before: Ops, after: Ops | None) -> Block:
    kinds = list(dict.fromkeys([*before.counts, *(after.counts if after else ())]))
    columns = [before.counts, *([after.counts] if after else [])]
    rows = [(kind, *(f"{counts.get(kind, 0):,}" for counts in columns)) for kind in kinds[:_LISTED]]
    if rest := kinds[_LISTED:]:
        rows.append((f"{len(rest)} others", *(f"{sum(counts.get(k, 0) for k in rest):,}" for counts in columns)))
    rows.append(("all", *(f"{sum(counts.values()):,}" for counts in columns)))
    names = ("op", "as traced", *(("simplified",) if after else ()))
    return table("Ops by type", names, rows, (1, 2), (len(rows) - 1,))
