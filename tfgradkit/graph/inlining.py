"""The ops of a function, written into the graph that calls it: shapes are inferred anew from what it is called with."""

from __future__ import annotations

from typing import Any

from .dependence import called_graph

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# What the old op was told of its results and of its neighbours.
_STALE = frozenset({"_output_shapes", "_class"})


def inlined(graph: Any, body: Any, arguments: list[Any]) -> list[Any]:
    """The results of ``body``, the graph of a function, called with ``arguments``, tensors of ``graph``."""
    tensors = {inner.ref(): given for inner, given in zip(body.inputs, arguments, strict=True)}
    for operation in body.get_operations():
        if operation.type == "Placeholder" and operation.outputs[0].ref() in tensors:
            continue
        inputs = [tensors[t.ref()] for t in operation.inputs]
        inner = called_graph(operation, "f") if operation.type in _CALLS else None
        results = _copied(graph, operation, inputs) if inner is None else inlined(graph, inner, inputs)
        tensors |= {old.ref(): new for old, new in zip(operation.outputs, results, strict=False)}
    return [tensors[y.ref()] for y in body.outputs]


def _copied(graph: Any, operation: Any, inputs: list[Any]) -> list[Any]:
    attributes = {name: value for name, value in operation.node_def.attr.items() if name not in _STALE}
    dtypes = [tensor.dtype for tensor in operation.outputs]
    return list(graph.create_op(operation.type, inputs, dtypes, attrs=attributes, name=operation.name).outputs)
