"""Obstacles for compiled code: ops that XLA doesn't have, and those that the C library can't have.

For the C library, the graph that would be compiled is made, frozen and searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ...errors import ExportError, SignatureError, TfGradKitError
from ...export.functions.entries import describe
from ...export.functions.interface import foreign_dtypes
from ...export.functions.tf_functions import argument_specs, exported, with_specs
from ...export.native.compile.frozen_graph import freeze
from ...export.native.compile.unsupported import compiled_by_xla, obstacles
from ...graph.ops import CALLS, LOOPS, called_graphs
from ...graph.user_line import made_at
from ...sources.layer_results import layer_of
from ..graph.graph_view import GraphView
from . import audit_result
from .audit_result import Obstacle
from .audited_graph import Look

_SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank", "Const"})
# By order, what is exported.
_KINDS = {0: "value", 1: "jacobian", 2: "hessian"}


def not_compiled(look: Look) -> Iterator[Obstacle]:
    """Ops of values and derivatives that XLA doesn't have, and loops of unknown length."""
    supported = compiled_by_xla()
    outer: dict[Any, Any] = {}
    for operation in _needed(look.seen.graph, look.results, outer):
        order = 0 if operation in look.own else 1
        if not called_graphs(operation) and operation.type not in supported:
            text, remedy = "XLA can't compile it", audit_result.for_not_compiled(operation.type)
            yield look.obstacle("not compiled", operation, order, text, remedy)
        elif operation.type == "EmptyTensorList" and not _is_known_size(operation.inputs[1], outer):
            loop = next((op for op in operation.outputs[0].consumers() if op.type in LOOPS), operation)
            text = "XLA can't differentiate a loop without knowing beforehand how many turns it takes at most"
            yield look.obstacle("not compiled", loop, 1, text, audit_result.for_not_compiled(operation.type))


def _is_known_size(size: Any, outer: dict[Any, Any]) -> bool:
    """Whether the largest size of a list is known when a graph is compiled: from constants and shapes alone."""
    value = tf.get_static_value(size)
    if value is not None:
        return int(value) >= 0
    waiting, seen = [size], set()
    while waiting:
        tensor = waiting.pop()
        if tensor.ref() in seen or tensor.op.type in _SIZES:
            continue
        seen.add(tensor.ref())
        if tensor.op.type == "Placeholder" and tensor.ref() not in outer:
            return False
        waiting += [outer[tensor.ref()]] if tensor.ref() in outer else list(tensor.op.inputs)
    return True


def _needed(graph: Any, results: Iterable[Any], outer: dict[Any, Any]) -> list[Any]:
    """The ops that ``results`` depend on, those run for their effects, and the ops of the functions that they call.

    Adds to ``outer``: by ``ref()`` of an argument of a called function, the tensor that the call passes.
    """
    waiting = [*(t.op for t in results), *graph.control_outputs]
    needed: dict[Any, None] = {}
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed[operation] = None
            waiting += [t.op for t in operation.inputs]
    inner = []
    for operation in needed:
        for called in called_graphs(operation):
            if operation.type in CALLS:
                outer |= {i.ref(): o for o, i in zip(operation.inputs, called.inputs, strict=False)}
            inner += _needed(called, called.outputs, outer)
    return [*needed, *inner]


def not_exported(seen: GraphView, specs: Sequence[Any], order: int) -> list[Obstacle]:
    """Obstacles of the value in a C library; where there are none, those of its derivatives up to ``order``."""
    has_specs = seen.source.input_specs is not None
    try:
        source = with_specs(seen.source, None if has_specs else tuple(specs))
    except SignatureError as error:
        return [
            _of_whole_function(seen, 0, f"{error.what}: {error.got}", error.hint or "floating inputs of fixed shapes")
        ]
    for current in range(order + 1):
        obstacles_of_order = list(_of_order(seen, source, current))
        if obstacles_of_order:
            return _merge_by_reason(obstacles_of_order)
    return []


def _merge_by_reason(every: Sequence[Obstacle]) -> list[Obstacle]:
    """One obstacle for each reason and place, with all its ops."""
    merged: dict[Any, Obstacle] = {}
    for obstacle in every:
        key = (obstacle.text, obstacle.layer, obstacle.where)
        known = merged.setdefault(key, obstacle)
        if obstacle.op not in known.op.split(", "):
            merged[key] = replace(known, op=f"{known.op}, {obstacle.op}")
    return list(merged.values())


def _of_order(seen: GraphView, source: Any, order: int) -> Iterator[Obstacle]:
    """Obstacles of the derivative of one order: those found before it is frozen, or its ops."""
    try:
        entry = describe(source, (_KINDS[order],))[-1]
        if dtypes := foreign_dtypes(entry):
            text = f"the C library has float32, float64, integers and booleans alone: {dtypes}"
            yield _of_whole_function(seen, order, text, "a model of float32 or float64")
            return
        frozen = freeze(exported(source, entry), argument_specs(entry, 1))
    except ExportError as error:
        yield _of_whole_function(seen, order, f"{error.what}: {error.got}", "tgk.export_saved_model")
    except (TfGradKitError, LookupError, ValueError, TypeError) as error:
        yield _of_whole_function(seen, order, str(error).strip().split("\n", 1)[0], "tgk.export_saved_model")
    else:
        for node, why in obstacles(frozen.graph):
            yield _of_frozen_op(seen, node, why, order)


def _of_whole_function(seen: GraphView, order: int, text: str, remedy: str) -> Obstacle:
    return Obstacle("not exported", order, seen.source.name, seen.source.name, True, text, remedy)


def _of_frozen_op(seen: GraphView, node: Any, why: str, order: int) -> Obstacle:
    operation = _op_of_function(seen, node.name)
    where = None if operation is None else made_at(operation)
    layer = layer_of(node.name, seen.source.layer_names)
    return Obstacle(
        "not exported", order, node.op, node.name, True, why, audit_result.for_not_exported(node.op, why),
        layer=None if layer == node.name else layer,
        where=None if where is None else str(where),
        code=None if where is None else where.code,
    )  # fmt: skip


def _op_of_function(seen: GraphView, name: str) -> Any | None:
    """The op of the function that a node of the frozen graph stands for; freezing may put scopes before its name."""
    known = {operation.name: operation for operation in seen.everywhere()}
    parts = name.split("/")
    return next((known[tail] for i in range(len(parts)) if (tail := "/".join(parts[i:])) in known), None)
