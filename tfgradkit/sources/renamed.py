"""Functions inside a GraphDef under names that no other function of this process has."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

_count = itertools.count()


def renamed(graph: Any) -> Any:
    """A copy of a GraphDef whose functions have names of their own: TensorFlow keeps all in one table.

    It numbers them from 0 in each process, so that two files, or a file and this process, have the same names.
    """
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph)
    number = next(_count)
    names = {f.signature.name: f"loaded_{number}_{f.signature.name}" for f in graph.library.function}
    for function in result.library.function:
        function.signature.name = names[function.signature.name]
        function.attr.pop("api_implements", None)
        _rename(function.node_def, names)
    for gradient in result.library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    _rename(result.node, names)
    return result


def _rename(nodes: Iterable[Any], names: dict[str, str]) -> None:
    for node in nodes:
        node.op = names.get(node.op, node.op)
        for function in _called(node):
            function.name = names.get(function.name, function.name)


def _called(node: Any) -> Iterator[Any]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func
        yield from value.list.func
