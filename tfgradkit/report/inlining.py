"""The nodes of a GraphDef with the functions it calls written out; loops and branches stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


@dataclass(frozen=True)
class Node:
    """An op.

    Attributes:
        name: behind the names of the calls that it is in.
        op: its type.
        inputs: names of the nodes that its tensors come from.
        backward: whether it is in the gradient of a called function.
        called: the functions that it calls.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    backward: bool
    called: tuple[str, ...]


def inlined(graph: Any, ends: Iterable[str] = ()) -> tuple[dict[str, Node], dict[str, str]]:
    """The nodes by name, and for each of ``ends``, tensors of the graph, the node that it comes from."""
    bodies = {function.signature.name: function for function in graph.library.function}
    found: dict[str, tuple[Any, list[str], bool]] = {}
    same: dict[str, str] = {}  # from a tensor's name to that of the tensor that it is

    def add(nodes: Iterable[Any], prefix: str, backward: bool) -> None:
        for node in nodes:
            name = prefix + node.name
            inputs = [_tensor(ref, prefix) for ref in node.input if not ref.startswith("^")]
            body = bodies.get(node.attr["f"].func.name) if node.op in _CALLS else None
            if body is None:
                found[name] = (node, inputs, backward)
                continue
            inner = f"{name}/"
            for argument, given in zip(body.signature.input_arg, inputs, strict=True):
                same[f"{inner}{argument.name}:0"] = given
            for position, result in enumerate(body.signature.output_arg):
                same[f"{name}:{position}"] = _tensor(body.ret[result.name], inner)
            add(body.node_def, inner, backward or "backward" in body.signature.name)

    def source(tensor: str) -> str:
        while tensor in same:
            tensor = same[tensor]
        return tensor.rpartition(":")[0]

    add(graph.node, "", False)
    nodes = {
        name: Node(name, node.op, tuple(source(t) for t in inputs), backward, called(node))
        for name, (node, inputs, backward) in found.items()
    }
    return nodes, {end: source(_tensor(end, "")) for end in ends}


def called(node: Any) -> tuple[str, ...]:
    """The functions that an op calls."""
    single = [a.func.name for a in node.attr.values() if a.HasField("func")]
    return tuple(dict.fromkeys([*single, *(f.name for a in node.attr.values() for f in a.list.func)]))


def _tensor(reference: str, prefix: str) -> str:
    """``name:number`` for a reference: ``name``, ``name:1``, or inside a function ``name:output:1``."""
    name, *rest = reference.split(":")
    return f"{prefix}{name}:{rest[-1] if rest else 0}"
