"""The nodes of a GraphDef with the functions it calls written out; loops and branches stay as they are.

The ops of a graph and what leads from one to another, read from a GraphDef.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ...diagnose.graph.graph_view import GraphView
from ...graph.ops import CALLS
from ...sources.layer_results import layer_of


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
            body = bodies.get(node.attr["f"].func.name) if node.op in CALLS else None
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


Phase = Literal["input", "output", "forward", "gradient"]
# Not drawn: numbers that are there from the start, and ops that hand on what they get.
_HELD = frozenset({"Const", "ReadVariableOp", "VarHandleOp"})
_PASSED = frozenset({"Identity", "NoOp", "PreventGradient", "Snapshot"})
_GRADIENTS = frozenset({"gradient_tape", "gradients"})


@dataclass(frozen=True)
class Op:
    """An op that is drawn.

    Attributes:
        name: its own, unique.
        type: "MatMul".
        layer: the innermost Keras layer it belongs to, "" for none.
        phase: an input or output of the graph, of the function itself, or of its derivative.
        inside: how many ops are in the functions that it calls.
    """

    name: str
    type: str
    layer: str
    phase: Phase
    inside: int = 0


@dataclass(frozen=True)
class Ops:
    """The ops of a graph.

    Attributes:
        drawn: in topological order.
        edges: pairs of names.
        counts: of all op types, drawn or not, those in called functions, too; most frequent first.
    """

    drawn: tuple[Op, ...]
    edges: tuple[tuple[str, str], ...]
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """How many ops the graph has, drawn or not."""
        return sum(self.counts.values())


def ops_of_view(view: GraphView) -> Ops:
    """Those of a traced function."""
    inputs = {tensor.op.name: name for tensor, name in zip(view.inputs, view.input_names, strict=True)}
    outputs = {name: tensor.name for tensor, name in zip(view.outputs, view.output_names, strict=True)}
    return ops_of(view.graph.as_graph_def(), inputs, outputs, view.source.layer_names)


def ops_of(graph: Any, inputs: dict[str, str], outputs: dict[str, str], layers: Collection[str]) -> Ops:
    """Those of a GraphDef, and of the functions that it calls.

    Args:
        graph: the GraphDef.
        inputs: by the name of a placeholder what it is called.
        outputs: by what a result is called its tensor.
        layers: names of Keras layers.
    """
    nodes, ends = inlined(graph, outputs.values())
    bodies = {function.signature.name: function.node_def for function in graph.library.function}
    drawn = {
        name: _op(node, inputs, bodies, layers)
        for name, node in nodes.items()
        if name in inputs or not (node.op in _HELD | _PASSED or node.op.startswith("Placeholder"))
    }
    edges: dict[tuple[str, str], None] = {}
    for name in drawn:
        edges |= {(source, name): None for source in _sources(nodes[name].inputs, nodes, drawn)}
    for label, tensor in outputs.items():
        key = f"result {label}"
        edges |= {(source, key): None for source in _sources([ends[tensor]], nodes, drawn)}
        drawn[key] = Op(key, label, "", "output")
    counts = Counter(node.op for node in graph.node)
    counts.update(node.op for body in bodies.values() for node in body)
    return Ops(_sorted(drawn, edges), tuple(edges), dict(counts.most_common()))


def _op(node: Node, inputs: dict[str, str], bodies: dict[str, Any], layers: Collection[str]) -> Op:
    if node.name in inputs:
        return Op(node.name, inputs[node.name], "", "input")
    layer = layer_of(node.name, layers)
    gradient = node.backward or not _GRADIENTS.isdisjoint(node.name.split("/"))
    inside = _inside(node.called, bodies, set())
    return Op(node.name, node.op, "" if layer == node.name else layer, "gradient" if gradient else "forward", inside)


def _inside(names: Iterable[str], bodies: dict[str, Any], seen: set[str]) -> int:
    """Ops of some functions and of those that they call, each function once."""
    total = 0
    for name in names:
        if name in bodies and name not in seen:
            seen.add(name)
            total += len(bodies[name]) + sum(_inside(called(op), bodies, seen) for op in bodies[name])
    return total


def _sources(names: Iterable[str], nodes: dict[str, Node], drawn: dict[str, Op]) -> list[str]:
    """The drawn ops behind some nodes, looking through ops that hand on what they get."""
    found: dict[str, None] = {}
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop(0)
        if name in drawn:
            found[name] = None
        elif name in nodes and name not in seen and nodes[name].op in _PASSED:
            waiting += nodes[name].inputs
        seen.add(name)
    return list(found)


def _sorted(drawn: dict[str, Op], edges: Iterable[tuple[str, str]]) -> tuple[Op, ...]:
    """In topological order, as they were listed otherwise (Kahn 1962); a loop's back edges are left for the end."""
    after: dict[str, list[str]] = {name: [] for name in drawn}
    missing = dict.fromkeys(drawn, 0)
    for source, target in edges:
        after[source].append(target)
        missing[target] += 1
    ready = [name for name, count in missing.items() if count == 0]
    order: dict[str, None] = {}
    for name in ready:
        order[name] = None
        for target in after[name]:
            missing[target] -= 1
            if missing[target] == 0:
                ready.append(target)
    return tuple(drawn[name] for name in [*order, *(name for name in drawn if name not in order)])
