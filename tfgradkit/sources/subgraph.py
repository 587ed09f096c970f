"""The part of a GraphDef between some inputs and outputs, ready to be imported where a function is traced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..errors import ModelFileError, SignatureError, UnknownLayerError
from ..graph.ops import OLD_LOOPS
from .tensor_names import Names, op_of, placeholders_text, tensor_name

# The variables of TensorFlow 1, whose tensor is the value itself; and all variables, also behind a handle.
REFERENCES = frozenset({"Variable", "VariableV2"})
_VARIABLES = REFERENCES | {"VarHandleOp"}
_FED = frozenset({"Placeholder", "PlaceholderV2", "IteratorGetNext", "QueueDequeueV2", "QueueDequeueManyV2"})
_PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_TABLES = frozenset({"HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2"})
_ASSIGNS = ("Assign", "Scatter", "ResourceScatter")
_PURE = frozenset({"ScatterNd", "ScatterNdNonAliasingAdd"})


@dataclass(frozen=True)
class Subgraph:
    """The ops between inputs and outputs.

    Attributes:
        graph: a GraphDef without the inputs and the variables themselves.
        whole: a GraphDef with the inputs, the variables and the ops in front of them, for the shapes.
        variables: the nodes of the variables that are read.
        loops: whether it has loops of TensorFlow 1, whose gradient needs more than the graph.
    """

    graph: Any
    whole: Any
    variables: tuple[Any, ...]
    loops: bool


def subgraph(graph: Any, names: Names, path: Path) -> Subgraph:
    """The ops between the tensors that ``names`` has, in the order of ``graph``.

    Raises:
        ModelFileError: an op reads a missing op, assigns a variable, or needs a table.
        SignatureError: the outputs need more inputs.
        UnknownLayerError: an op calls Python code.
    """
    nodes = {node.name: node for node in graph.node}
    reached = _reached(nodes, names.outputs, frozenset(names.inputs), path)
    kept = [node for node in graph.node if node.name in reached]
    _check(kept, graph, names, path)
    inner = [node for node in kept if node.op not in _VARIABLES]
    everything = _reached(nodes, (*names.inputs, *names.outputs), frozenset(), path)
    between = {node.name for node in inner}
    own = {node.name: _portable(node, between) for node in inner}
    return Subgraph(
        _copied(graph, own.values()),
        _copied(graph, [own.get(n.name) or _placed_anywhere(n) for n in graph.node if n.name in everything]),
        tuple(node for node in kept if node.op in _VARIABLES),
        any(node.op in OLD_LOOPS for node in kept),
    )


def _reached(nodes: dict[str, Any], outputs: Iterable[str], fed: frozenset[str], path: Path) -> set[str]:
    """Names of the ops that ``outputs`` need beside the tensors ``fed``."""
    fed_ops, reached = {op_of(name) for name in fed}, set()
    waiting = [op_of(name) for name in outputs if name not in fed]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        if name not in nodes:
            raise ModelFileError(
                "an op of the graph reads one that isn't there", subject=path, got=name, hint="the file is truncated"
            )
        reached.add(name)
        for text in nodes[name].input:
            is_fed = op_of(text) in fed_ops if text.startswith("^") else tensor_name(text) in fed
            waiting += [] if is_fed else [op_of(text)]
    return reached


def _copied(graph: Any, nodes: Iterable[Any]) -> Any:
    result = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    result.node.extend(nodes)
    return result


def _placed_anywhere(node: Any) -> Any:
    """A copy without device and colocation, which belong to the machine that the graph was made on."""
    copy = tf.compat.v1.NodeDef()
    copy.CopyFrom(node)
    copy.device = ""
    copy.attr.pop("_class", None)
    return copy


def _portable(node: Any, own: set[str]) -> Any:
    """A copy that takes values in place of references, and has control dependencies only on ``own`` ops."""
    copy = _placed_anywhere(node)
    if copy.op.startswith("Ref") and hasattr(tf.raw_ops, copy.op[3:]):
        copy.op = copy.op[3:]
    if copy.op == "PlaceholderWithDefault":  # none of the inputs, so it has its default value
        copy.op = "Identity"
        copy.attr["T"].CopyFrom(copy.attr.pop("dtype"))
        copy.attr.pop("shape", None)
    inputs = [text for text in copy.input if not text.startswith("^") or op_of(text) in own]
    del copy.input[:]
    copy.input.extend(inputs)
    return copy


def _check(kept: list[Any], graph: Any, names: Names, path: Path) -> None:
    for node in kept:
        if node.op in _FED:
            raise SignatureError(
                "the outputs depend on a tensor that is none of the inputs",
                subject=path,
                expected=f"inputs: {', '.join(names.inputs)}",
                got=f"{node.name}:0, of a {node.op}",
                hint=f"name it among the inputs, too; the placeholders are {placeholders_text(graph)}",
            )
        if node.op in _PYTHON:
            raise UnknownLayerError(
                "the graph calls Python code, which is not in the file", subject=path, got=f"{node.name} : {node.op}"
            )
        if node.op in _TABLES or (node.op.startswith(_ASSIGNS) and node.op not in _PURE):
            what = "a table, whose contents are not read" if node.op in _TABLES else "an op that assigns a variable"
            raise ModelFileError(
                f"the way from the inputs to the outputs leads through {what}",
                subject=path,
                got=f"{node.name} : {node.op}",
                hint="name inputs behind it",
            )
