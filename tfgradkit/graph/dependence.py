"""The ops that a function added to a graph, and which of them depend on its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

LOOPS = frozenset({"While", "StatelessWhile"})
# What leads no derivative on, by intent.
_CUTS = frozenset({"StopGradient", "PreventGradient", "Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})
# Their inputs from this position on are those of the functions they call.
_FIRST_INPUT = {"If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1}


def added(build: Callable[[Any], Any], xs: Any) -> tuple[Any, list[Any]]:
    """``build(xs)``, and the ops that it added to the graph of ``xs``."""
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    result = build(xs)
    return result, graph.get_operations()[before:]


def between(operations: Sequence[Any], xs: Sequence[Any], ys: Iterable[Any]) -> list[Any]:
    """Those of ``operations`` that lead derivatives from xs to ys, and those in the functions they call.

    Integers, truth values and text carry no derivative on; resources and variants may. Inside a
    ``tf.custom_gradient`` it is the user's rule that leads them.
    """
    depends = {tensor.ref() for tensor in xs if isinstance(tensor, tf.Tensor)}
    handles = {tensor.handle.ref() for tensor in xs if isinstance(tensor, tf.Variable)}
    return _between(operations, depends | handles, {tensor.ref() for tensor in ys if tensor is not None})


def reached(operations: Sequence[Any], tensors: Sequence[Any]) -> list[Any]:
    """Those of ``operations`` that depend on ``tensors`` smoothly, and those in the functions they call."""
    return between(operations, tensors, [tensor for operation in operations for tensor in operation.outputs])


def _between(operations: Sequence[Any], depends: set[Any], needed: set[Any]) -> list[Any]:
    found = []
    for operation in _leading(operations, needed):
        carrying = [tensor for tensor in operation.outputs if carries(tensor.dtype)]
        if carrying and any(tensor.ref() in depends for tensor in operation.inputs):
            found.append(operation)
            depends.update(tensor.ref() for tensor in carrying)
            for graph in called_graphs(operation):
                inner = _arguments(operation, graph, depends)
                found += _between(graph.get_operations(), inner, {tensor.ref() for tensor in graph.outputs})
    return found


def _leading(operations: Sequence[Any], needed: set[Any]) -> list[Any]:
    """The operations from which a derivative of what is ``needed`` comes, in their order."""
    found = []
    for operation in reversed(operations):
        wanted = any(tensor.ref() in needed and carries(tensor.dtype) for tensor in operation.outputs)
        if wanted and operation.type not in _CUTS:
            found.append(operation)
            needed.update(tensor.ref() for tensor in leading_inputs(operation, needed))
    return found[::-1]


def leading_inputs(operation: Any, needed: set[Any]) -> list[Any]:
    """The inputs to which a gradient of what is ``needed`` goes.

    A custom gradient passes its results by, to its arguments.
    """
    if operation.type != "IdentityN" or "_gradient_op_type" not in operation.node_def.attr:
        return list(operation.inputs)
    pairs = zip(operation.inputs, operation.outputs, strict=True)
    return [before for before, after in pairs if after.ref() not in needed]


def carries(dtype: tf.DType) -> bool:
    """Whether a tensor may lead a derivative on."""
    return dtype.is_floating or dtype.is_complex or dtype in (tf.resource, tf.variant)


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
    if operation.type in LOOPS:  # what a variable of a loop depends on, others do in its next turn
        return {inner.ref() for inner in graph.inputs if carries(inner.dtype)}
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
