"""The ops that a function added to a graph, and which of them depend on its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

# Their inputs from this position on are those of the functions they call.
_FIRST_INPUT = {"If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1}


def added(build: Callable[[Any], Any], xs: Any) -> tuple[Any, list[Any]]:
    """``build(xs)``, and the ops that it added to the graph of ``xs``."""
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    result = build(xs)
    return result, graph.get_operations()[before:]


def reached(operations: Iterable[Any], tensors: Sequence[Any]) -> list[Any]:
    """Those of ``operations`` that depend on ``tensors``, and those in the functions they call."""
    depends = {tensor.ref() for tensor in tensors if isinstance(tensor, tf.Tensor)}
    handles = {tensor.handle.ref() for tensor in tensors if isinstance(tensor, tf.Variable)}
    return _walk(operations, depends | handles)


def _walk(operations: Iterable[Any], depends: set[Any]) -> list[Any]:
    found = []
    for operation in operations:
        if any(tensor.ref() in depends for tensor in operation.inputs):
            found.append(operation)
            depends.update(tensor.ref() for tensor in operation.outputs)
            for graph in called_graphs(operation):
                found += _walk(graph.get_operations(), _arguments(operation, graph, depends))
    return found


def called_graphs(operation: Any) -> list[Any]:
    """The graphs of the functions that an operation calls: a call, a loop, the branches of a condition."""
    names = [a.func.name for a in operation.node_def.attr.values() if a.HasField("func")]
    names += [f.name for a in operation.node_def.attr.values() for f in a.list.func]
    found = [operation.graph._get_function(name) for name in names]
    return [function.graph for function in found if function is not None and getattr(function, "graph", None)]


def called_graph(operation: Any, attribute: str, position: int | None = None) -> Any:
    """The graph of one function that an operation calls; None where TensorFlow doesn't have it."""
    value = operation.node_def.attr[attribute]
    name = (value.func if position is None else value.list.func[position]).name
    return getattr(operation.graph._get_function(name), "graph", None)


def assigns(graph: Any) -> bool:
    """Whether an op of a graph, or of the functions it calls, changes a variable."""
    return any(
        operation.type.startswith("Assign") or any(assigns(inner) for inner in called_graphs(operation))
        for operation in graph.get_operations()
    )


def _arguments(operation: Any, graph: Any, depends: set[Any]) -> set[Any]:
    given = list(operation.inputs)[_FIRST_INPUT.get(operation.type, 0) :]
    pairs = zip(given, graph.inputs, strict=False)
    return {inner.ref() for outer, inner in pairs if outer.ref() in depends}


def sample_bytes(operations: Iterable[Any]) -> int:
    """Bytes of all results of ``operations`` for one sample: axes of unknown size count as 1."""
    return sum(_bytes(tensor) for operation in operations for tensor in operation.outputs)


def _bytes(tensor: Any) -> int:
    if tensor.shape.rank is None or not tensor.dtype.size:
        return 0
    count = tensor.dtype.size
    for axis in tensor.shape.as_list():
        count *= axis or 1
    return count
