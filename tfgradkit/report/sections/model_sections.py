"""The sections on the model itself, the structure of its Jacobian, and the graph of its Jacobian."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import floating_results, shape_text
from ...derivatives.derivative import Derivative
from ...derivatives.operators import build
from ...diagnose.graph.graph_view import view
from ...diagnose.graph.simplify import simplify
from ...diagnose.structure.structure import structure
from ...errors import TfGradKitError
from ...sources.resolve import flat_layers, is_keras
from ..context import Context
from ..jacobians import element_names, floating_arguments
from ..page_parts import (
    CodeText,
    Details,
    FactList,
    PageBlock,
    PageSection,
    Picture,
    Table,
    Text,
    count,
    problem,
    short,
    table,
)
from ..picture.drawn_graph import Ops, ops_of
from ..picture.folding import fold
from ..picture.svg import graph_svg

_LAYERS = 40
# An array of at most so many elements is listed by element.
_ELEMENTS = 8
_LISTED = 12
_MOST_OPS = 24
_AFTER = "Simplified: variables frozen, constants folded, what occurs twice joined, what is not needed left out"


def model_section(context: Context) -> PageSection:
    """The model's inputs, outputs and layers, and the sample points."""
    source, points = context.source, context.points
    inputs = list(zip(context.input_names, tf.nest.flatten(points.arguments), strict=True))
    outputs = list(zip(context.output_names, _results(context), strict=True))
    parameters = sum(int(tf.size(v)) for v in source.variables)
    trainable = sum(int(tf.size(v)) for v in source.trainable())
    blocks: list[PageBlock] = [
        FactList(
            (
                ("name", source.name),
                ("kind", _kind(context.fn)),
                ("parameters", _parameters(parameters, trainable)),
                ("samples", "batched: the first axis counts them" if source.batched else "one at a time"),
            )
        ),
        _ports("Inputs, and their range at the points", inputs, source.batched),
        _ports("Outputs, and their range at the points", outputs, source.batched),
        Text(f"Looked at here: {points.origin}."),
        *_layers(source.model),
    ]
    sizes = f"{count(len(inputs), 'input')}, {count(len(outputs), 'output')}, {count(parameters, 'parameter')}"
    return PageSection("model", "The model", tuple(blocks), sizes)


def _parameters(every: int, trainable: int) -> str:
    share = "all" if trainable == every else f"{trainable:,}"
    return f"{every:,}, {share} trainable" if every else "none"


def _results(context: Context) -> list[tf.Tensor]:
    """The results at all points, the point first."""
    rows = [floating_results(context.source.call(*call), context.source.name) for call in context.points.calls()]
    return rows[0] if context.source.batched else [tf.stack(leaves) for leaves in zip(*rows, strict=True)]


def _kind(fn: Any) -> str:
    if is_keras(fn):
        return f"{type(fn).__name__}, {'tf_keras' if 'tf_keras' in type(fn).__module__ else 'Keras'}"
    return type(fn).__name__


def _ports(title: str, ports: Sequence[tuple[str, tf.Tensor]], batched: bool) -> Table:
    """A row for each array with its range; a small array has a row for each element."""
    rows = []
    for name, leaf in ports:
        spec = tf.TensorShape([None, *leaf.shape[1:]] if batched else leaf.shape[1:])
        values = _numbers(leaf)
        whole = values if 1 < values.shape[1] <= _ELEMENTS else values[:, :0]
        head = _range(values) if not whole.size else ("", "")
        rows.append((name, leaf.dtype.name, shape_text(spec), *head))
        labels = element_names(name, leaf.shape[1:]) if whole.size else []
        rows += [(label, "", "", *_range(values[:, i])) for i, label in enumerate(labels)]
    return table(title, ("name", "dtype", "shape", "smallest", "largest"), rows, (3, 4))


def _numbers(leaf: tf.Tensor) -> np.ndarray:
    """The numbers as [points, elements]; text and truth values have no elements."""
    known = leaf.dtype.is_floating or leaf.dtype.is_integer
    values = np.asarray(leaf, np.float64) if known else np.zeros([leaf.shape[0], 0])
    return values.reshape(len(values), -1)


def _range(values: np.ndarray) -> tuple[str, str]:
    finite = values[np.isfinite(values)]
    return (short(float(finite.min())), short(float(finite.max()))) if finite.size else ("—", "—")


def _layers(model: Any) -> list[PageBlock]:
    every = flat_layers(model) if model is not None else []
    layers = [layer for layer in every if type(layer).__name__ != "InputLayer"]
    if not layers:
        return []
    rows = [(layer.name, type(layer).__name__, f"{layer.count_params():,}" if layer.built else "—") for layer in layers]
    left = [Text(f"{count(len(rows) - _LAYERS, 'more layer')}.")] if len(rows) > _LAYERS else []
    listed = table("Layers", ("layer", "kind", "parameters"), rows[:_LAYERS], (2,))
    return [Details(count(len(layers), "layer"), (listed, *left))]


def structure_section(context: Context) -> PageSection:
    """A paragraph for each block of the Jacobian: its structure, proven or sampled."""
    jacobians = context.jacobians
    entries = jacobians.total_rows * len(jacobians.columns)
    if entries > context.limits.entries:
        text = (
            f"The Jacobian has {entries:,} entries, more than the {context.limits.entries:,} that are looked at here."
        )
        return PageSection("structure", "Structure", (Text(text),), "too large to look at")
    picked = floating_arguments(context.points)
    known = structure(build("jacobian", ("jacobian",), context.source, {"argnums": picked}), *context.points.first(1))
    blocks = [CodeText(str(block)) for block in known.blocks[:_LISTED]]
    notes = [Text(f"Note: {note}.") for note in known.notes]
    left = len(known.blocks) - _LISTED
    more = [Text(f"{count(left, 'more block')}: tgk.structure lists all.")] if left > 0 else []
    legend = Text("“Proven” holds for all arguments; “as far as samples show” is what no sample contradicts.")
    kinds = Counter(_block_kind(block) for block in known.blocks)
    summary = ", ".join(kind if number == len(known.blocks) else f"{number} {kind}" for kind, number in kinds.items())
    return PageSection("structure", "Structure", (legend, *blocks, *more, *notes), summary)


def _block_kind(block: Any) -> str:
    """The structure of a block in a word or two."""
    if block.zero:
        return "zero"
    kind = "diagonal" if block.diagonal else "dense" if block.entries.value == block.rows * block.columns else "sparse"
    return f"{kind}, constant" if block.constant else kind


def graph_section(context: Context) -> PageSection:
    """Pictures of the Jacobian's graph as traced and simplified, and the ops by type."""
    derivative = build("jacobian", ("jacobian",), context.source, {"argnums": floating_arguments(context.points)})
    specs = _one_point(context)
    before = _traced(context, derivative, specs)
    blocks: list[PageBlock] = [
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
        return PageSection("graph", "Gradient graph", tuple(blocks), f"{count(before.total, 'op')}; not simplified")
    blocks += [_picture(_AFTER, after, context, "after"), *_constant(context, after)]
    blocks.append(Details("Ops by type", (_counts(before, after),)))
    return PageSection(
        "graph", "Gradient graph", tuple(blocks), f"{before.total:,} ops, {after.total:,} when simplified"
    )


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
    """The label ∂y/∂x of each block, outputs outside."""
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
    sizes = f"{count(ops.total, 'op')}, {drawn:,} of them drawn"
    caption = (
        f"{title}: {sizes}." if folded.is_whole else f"{title}: {sizes}, folded into {count(boxes, 'box', 'boxes')}."
    )
    alternative = f"{title}: {count(ops.total, 'op')}, most of them {', '.join(list(ops.counts)[:3])}"
    return Picture(graph_svg(folded, alternative, name), alternative, caption, zoom=True)


def _constant(context: Context, after: Ops) -> list[PageBlock]:
    """The value of a derivative whose simplified graph has no computation."""
    if any(op.phase in ("forward", "gradient") for op in after.drawn):
        return []
    matrix = context.jacobians.matrix[0]
    rows = "; ".join(", ".join(short(float(v)) for v in row) for row in matrix)
    value = f"it is {rows} (rows are outputs)" if matrix.size <= _MOST_OPS else "the heat map shows it"
    return [Text(f"No computation is left: the derivative is the same everywhere; {value}.")]


def _counts(before: Ops, after: Ops | None) -> PageBlock:
    kinds = list(dict.fromkeys([*before.counts, *(after.counts if after else ())]))
    columns = [before.counts, *([after.counts] if after else [])]
    rows = [(kind, *(f"{counts.get(kind, 0):,}" for counts in columns)) for kind in kinds[:_MOST_OPS]]
    if rest := kinds[_MOST_OPS:]:
        rows.append((f"{len(rest)} others", *(f"{sum(counts.get(k, 0) for k in rest):,}" for counts in columns)))
    rows.append(("all", *(f"{sum(counts.values()):,}" for counts in columns)))
    names = ("op", "as traced", *(("simplified",) if after else ()))
    return table("Ops by type", names, rows, (1, 2), (len(rows) - 1,))
