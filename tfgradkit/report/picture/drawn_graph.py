"""The ops of a graph for a picture, and the edges between them, read from a GraphDef.

Calls of functions are replaced by the ops of the functions; loops and branches stay single ops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ...diagnose.graph.graph_view import GraphView
from ...graph.ops import CALLS
from ...sources.layer_results import layer_of

Phase = Literal["input", "output", "forward", "gradient"]
# Ops that are not drawn: constants and variables, and ops that forward their input unchanged.
_CONSTANTS = frozenset({"Const", "ReadVariableOp", "VarHandleOp"})
_FORWARDED = frozenset({"Identity", "NoOp", "PreventGradient", "Snapshot"})
_GRADIENTS = frozenset({"gradient_tape", "gradients"})


@dataclass(frozen=True)
class Op:
    """An op that is drawn.

    Attributes:
        name: unique in the graph.
        type: such as "MatMul".
        layer: the innermost Keras layer around it, "" for none.
        phase: whether it is an input or output of the graph, or belongs to the function itself or to its gradient.
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
        drawn: the ops of the picture, in topological order.
        edges: pairs of names.
        counts: of all op types, most frequent first; ops that aren't drawn and ops of called functions count, too.
    """

    drawn: tuple[Op, ...]
    edges: tuple[tuple[str, str], ...]
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """How many ops the graph has, drawn or not."""
        return sum(self.counts.values())


def ops_of_view(view: GraphView) -> Ops:
    """The ops of a traced function."""
    inputs = {tensor.op.name: name for tensor, name in zip(view.inputs, view.input_names, strict=True)}
    outputs = {name: tensor.name for tensor, name in zip(view.outputs, view.output_names, strict=True)}
    return ops_of(view.graph.as_graph_def(), inputs, outputs, view.source.layer_names)


def ops_of(graph: Any, inputs: dict[str, str], outputs: dict[str, str], layers: Collection[str]) -> Ops:
    """The ops of a GraphDef and of the functions that it calls.

    Args:
        graph: the GraphDef.
        inputs: labels by the names of placeholders.
        outputs: names of tensors by their labels.
        layers: names of Keras layers.
    """
    nodes, ends = inline(graph, outputs.values())
    bodies = {function.signature.name: function.node_def for function in graph.library.function}
    drawn = {
        name: _op(node, inputs, bodies, layers)
        for name, node in nodes.items()
        if name in inputs or not (node.op in _CONSTANTS | _FORWARDED or node.op.startswith("Placeholder"))
    }
    edges: dict[tuple[str, str], None] = {}
    for name in drawn:
        edges |= {(source, name): None for source in _drawn_sources(nodes[name].inputs, nodes, drawn)}
    for label, tensor in outputs.items():
        key = f"result {label}"
        edges |= {(source, key): None for source in _drawn_sources([ends[tensor]], nodes, drawn)}
        drawn[key] = Op(key, label, "", "output")
    counts = Counter(node.op for node in graph.node)
    counts.update(node.op for body in bodies.values() for node in body)
    return Ops(_in_topological_order(drawn, edges), tuple(edges), dict(counts.most_common()))


def _op(node: Node, inputs: dict[str, str], bodies: dict[str, Any], layers: Collection[str]) -> Op:
    if node.name in inputs:
        return Op(node.name, inputs[node.name], "", "input")
    layer = layer_of(node.name, layers)
    gradient = node.backward or not _GRADIENTS.isdisjoint(node.name.split("/"))
    inside = _ops_inside(node.called, bodies, set())
    return Op(node.name, node.op, "" if layer == node.name else layer, "gradient" if gradient else "forward", inside)


def _ops_inside(names: Iterable[str], bodies: dict[str, Any], seen: set[str]) -> int:
    """The number of ops in some functions and in the functions that they call, each function once."""
    total = 0
    for name in names:
        if name in bodies and name not in seen:
            seen.add(name)
            total += len(bodies[name]) + sum(_ops_inside(called(op), bodies, seen) for op in bodies[name])
    return total


def _drawn_sources(names: Iterable[str], nodes: dict[str, Node], drawn: dict[str, Op]) -> list[str]:
    """The drawn ops behind some nodes, looking through ops that forward their input."""
    sources: dict[str, None] = {}
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop(0)
        if name in drawn:
            sources[name] = None
        elif name in nodes and name not in seen and nodes[name].op in _FORWARDED:
            waiting += nodes[name].inputs
        seen.add(name)
    return list(sources)


def _in_topological_order(drawn: dict[str, Op], edges: Iterable[tuple[str, str]]) -> tuple[Op, ...]:
    """The ops in topological order, else as listed (Kahn 1962); the ops of a cycle come last."""
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


@dataclass(frozen=True)
class Node:
    """A node of a GraphDef, after called functions are written out.

    Attributes:
        name: behind the names of the calls around it.
        op: its type.
        inputs: names of the nodes that compute its inputs.
        backward: whether it is in the gradient of a called function.
        called: the functions that it calls.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    backward: bool
    called: tuple[str, ...]


def inline(graph: Any, ends: Iterable[str] = ()) -> tuple[dict[str, Node], dict[str, str]]:
    """The nodes by name with calls written out, and the node behind each of ``ends``, tensors of the graph."""
    bodies = {function.signature.name: function for function in graph.library.function}
    kept: dict[str, tuple[Any, list[str], bool]] = {}
    alias: dict[str, str] = {}  # the argument of a call for a function's input, the function's result for a call's

    def add(nodes: Iterable[Any], prefix: str, backward: bool) -> None:
        for node in nodes:
            name = prefix + node.name
            inputs = [_tensor(ref, prefix) for ref in node.input if not ref.startswith("^")]
            body = bodies.get(node.attr["f"].func.name) if node.op in CALLS else None
            if body is None:
                kept[name] = (node, inputs, backward)
                continue
            inner = f"{name}/"
            for parameter, argument in zip(body.signature.input_arg, inputs, strict=True):
                alias[f"{inner}{parameter.name}:0"] = argument
            for position, result in enumerate(body.signature.output_arg):
                alias[f"{name}:{position}"] = _tensor(body.ret[result.name], inner)
            add(body.node_def, inner, backward or "backward" in body.signature.name)

    def source(tensor: str) -> str:
        while tensor in alias:
            tensor = alias[tensor]
        return tensor.rpartition(":")[0]

    add(graph.node, "", False)
    nodes = {
        name: Node(name, node.op, tuple(source(t) for t in inputs), backward, called(node))
        for name, (node, inputs, backward) in kept.items()
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
