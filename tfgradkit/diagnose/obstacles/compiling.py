"""What stands in the way of XLA: ops that it doesn't have, and loops of unknown length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from ...export.audit import compiled_by_xla
from ...rules.operations import LOOPS, called_graphs
from . import remedies
from .found import Obstacle
from .look import Look

_SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank", "Const"})


def not_compiled(look: Look) -> Iterator[Obstacle]:
    """Ops of values and derivatives that XLA doesn't have."""
    have = compiled_by_xla()
    outer: dict[Any, Any] = {}
    for operation in _needed(look.seen.graph, look.results, outer):
        order = 0 if operation in look.own else 1
        if not called_graphs(operation) and operation.type not in have:
            text, remedy = "XLA can't compile it", remedies.for_not_compiled(operation.type)
            yield look.obstacle("not compiled", operation, order, text, remedy)
        elif operation.type == "EmptyTensorList" and not _known_size(operation.inputs[1], outer):
            loop = next((op for op in operation.outputs[0].consumers() if op.type in LOOPS), operation)
            text = "XLA can't differentiate a loop without knowing beforehand how many turns it takes at most"
            yield look.obstacle("not compiled", loop, 1, text, remedies.for_not_compiled(operation.type))


def _known_size(size: Any, outer: dict[Any, Any]) -> bool:
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
    """The ops that ``results`` come from, those that are run for what they do, and those in functions they call.

    ``outer`` is told which tensor each argument of a called function is.
    """
    waiting = [*(t.op for t in results), *graph.control_outputs]
    found: dict[Any, None] = {}
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found[operation] = None
            waiting += [t.op for t in operation.inputs]
    inner = []
    for operation in found:
        for called in called_graphs(operation):
            if operation.type.endswith("PartitionedCall"):
                outer |= {i.ref(): o for o, i in zip(operation.inputs, called.inputs, strict=False)}
            inner += _needed(called, called.outputs, outer)
    return [*found, *inner]
