"""A GraphDef as a graph of its own, for the shapes and attributes of its ops.

The part of a GraphDef that makes some tensors of others, ready to be imported where a function is traced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from ..errors import ModelFileError, SignatureError, SourceError, UnknownLayerError
from ..graph.ops import OLD_LOOPS
from .tensor_names import Names, op_of, placeholders_text, tensor_name


def imported_graph(whole: Any, path: Path) -> tf.Graph:
    """Inputs, outputs and what is between in a graph of their own.

    Raises:
        UnknownLayerError: an op that isn't known here.
        ModelFileError: TensorFlow refuses the graph.
    """
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.graph_util.import_graph_def(whole, name="")
    except Exception as error:  # ValueError, and the C++ side's own kinds
        raise _refused(path, error) from error
    return graph


def tensors_of(graph: tf.Graph, names: Sequence[str], path: Path) -> list[Any]:
    """The tensors of these names.

    Raises:
        SignatureError: an op has fewer results.
    """
    try:
        return [graph.get_tensor_by_name(name) for name in names]
    except (KeyError, ValueError) as error:
        raise SignatureError(
            "the op has fewer results", subject=path, expected='"OP:0" for the first', got=", ".join(names)
        ) from error


def _refused(path: Path, error: Exception) -> SourceError:
    text = str(error).strip().strip('"').split("\n", 1)[0][:500]
    if match := re.search(r"Op type not registered '(\w+)'", text):
        return UnknownLayerError(
            "the graph has an op that isn't known here",
            subject=path,
            got=match.group(1),
            hint="tf.load_op_library(FILE) before loading makes an op of your own known",
        )
    return ModelFileError("TensorFlow can't import the graph", subject=path, got=text, hint="save it again")


# Variables whose tensor is the value itself, as TensorFlow 1 made them, and those behind a handle.
REFERENCES = frozenset({"Variable", "VariableV2"})
_VARIABLES = REFERENCES | {"VarHandleOp"}
_FED = frozenset({"Placeholder", "PlaceholderV2", "IteratorGetNext", "QueueDequeueV2", "QueueDequeueManyV2"})
_PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_TABLES = frozenset({"HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2"})
_ASSIGNS = ("Assign", "Scatter", "ResourceScatter")
_PURE = frozenset({"ScatterNd", "ScatterNdNonAliasingAdd"})


@dataclass(frozen=True)
class Subgraph:
    """What lies between inputs and outputs.

    Attributes:
        graph: a GraphDef without the inputs and the variables themselves.
        whole: a GraphDef with them, and with what makes them, for their shapes.
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
        ModelFileError: an op reads one that isn't there, assigns a variable, or needs a table.
        SignatureError: the outputs need more inputs.
        UnknownLayerError: Python code.
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
    """Names of the ops that ``outputs`` need, where ``fed`` tensors are given."""
    fed_ops, found = {op_of(name) for name in fed}, set()
    waiting = [op_of(name) for name in outputs if name not in fed]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in nodes:
            raise ModelFileError(
                "an op of the graph reads one that isn't there", subject=path, got=name, hint="the file is truncated"
            )
        found.add(name)
        for text in nodes[name].input:
            given = op_of(text) in fed_ops if text.startswith("^") else tensor_name(text) in fed
            waiting += [] if given else [op_of(text)]
    return found


def _copied(graph: Any, nodes: Iterable[Any]) -> Any:
    result = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    result.node.extend(nodes)
    return result


def _placed_anywhere(node: Any) -> Any:
    """A copy without device and colocation: those of the machine that the graph was made on."""
    copy = tf.compat.v1.NodeDef()
    copy.CopyFrom(node)
    copy.device = ""
    copy.attr.pop("_class", None)
    return copy


def _portable(node: Any, own: set[str]) -> Any:
    """The same, of values where it was of references, that waits for ``own`` ops alone."""
    copy = _placed_anywhere(node)
    if copy.op.startswith("Ref") and hasattr(tf.raw_ops, copy.op[3:]):
        copy.op = copy.op[3:]
    if copy.op == "PlaceholderWithDefault":  # none of the inputs, so the default it is
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
