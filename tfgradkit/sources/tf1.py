"""Graphs of TensorFlow 1: a ``.meta`` file with its checkpoint, and a frozen ``.pb``.

A graph has no signature of its own, so the caller names its tensors. Files are read as data: no op of a graph runs
until the function is called, and the Python objects in a file's collections are not built.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from ..differentiable import Differentiable
from ..errors import ModelFileError
from .imported_graph import ImportedFunction
from .subgraph import Subgraph, subgraph
from .tensor_names import Names, wanted_names
from .tf1_checkpoint import values_of

_count = itertools.count()


def from_meta(path: Path, signature: Mapping[str, Any] | None) -> Differentiable:
    """The graph of a ``.meta`` file, with variables that have the values of the checkpoint beside it.

    Raises:
        ModelFileError: not such a file, no checkpoint, or no value in it for a variable.
        SignatureError: a tensor that isn't there, or outputs that need more than the inputs.
    """
    meta = tf.compat.v1.MetaGraphDef()
    _parse(meta, path, "a MetaGraphDef, as tf.compat.v1.train.Saver writes it")
    if not meta.graph_def.node:
        raise _foreign(path, "a MetaGraphDef, as tf.compat.v1.train.Saver writes it", "no graph in it")
    names = wanted_names(meta.graph_def, signature, path)
    part = subgraph(rename_functions(meta.graph_def), names, path)
    values = values_of(meta.graph_def, part.variables, path)
    trained = _trainable_names(meta)
    variables = {
        name: tf.Variable(value, trainable=value.dtype.kind == "f" and (trained is None or name in trained), name=name)
        for name, value in values.items()
    }
    return _differentiable(path, names, part, variables)


def from_frozen(path: Path, signature: Mapping[str, Any] | None) -> Differentiable:
    """The graph of a ``.pb`` file, whose variables are constants.

    Raises:
        ModelFileError: not such a file, or a file with variables, whose values it can't hold.
        SignatureError: a tensor that isn't there, or outputs that need more than the inputs.
    """
    graph = tf.compat.v1.GraphDef()
    _parse(graph, path, "a GraphDef")
    if not graph.node:
        raise _foreign(path, "a GraphDef", "a graph of no ops")
    names = wanted_names(graph, signature, path)
    part = subgraph(rename_functions(graph), names, path)
    if part.variables:
        raise ModelFileError(
            "the graph is not frozen: it has variables, and a .pb file has no values for them",
            subject=path,
            expected="constants in their place",
            got=", ".join(f"{node.name} : {node.op}" for node in part.variables[:5]),
            hint="freeze it with tf.compat.v1.graph_util.convert_variables_to_constants, or load the .meta file "
            "that has its checkpoint beside it",
        )
    return _differentiable(path, names, part, {})


def _differentiable(path: Path, names: Names, part: Subgraph, variables: dict[str, tf.Variable]) -> Differentiable:
    function = ImportedFunction(names, part, variables, path)
    inputs = [name.partition(":")[0] for name in names.inputs]
    outputs = [name.partition(":")[0] for name in names.outputs]
    return Differentiable(
        call=function,
        name=path.stem,
        batched=function.batched,
        input_specs=function.input_specs,
        variables=tuple(variables.values()),
        trainable=lambda: tuple(variable for variable in variables.values() if variable.trainable),
        argument_names=() if len(inputs) == 1 else tuple(inputs),
        input_names=() if len(inputs) == 1 else tuple(inputs),
        output_names=() if len(outputs) == 1 else tuple(outputs),
    )


def _trainable_names(meta: Any) -> set[str] | None:
    """Names of the variables in the graph's collection of trainable ones; None where it has no such collection."""
    if "trainable_variables" not in meta.collection_def:
        return None
    return {_variable_name(content) for content in meta.collection_def["trainable_variables"].bytes_list.value}


def _variable_name(content: bytes) -> str:
    """The variable's name in a serialized VariableDef, whose first field is the name of its tensor."""
    from tensorflow.core.framework.variable_pb2 import VariableDef

    try:
        return str(VariableDef.FromString(content).variable_name).partition(":")[0]
    except DecodeError:
        return ""


def _parse(message: Any, path: Path, expected: str) -> None:
    try:
        message.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ModelFileError("the model file can't be read", subject=path, got=error.strerror) from error
    except DecodeError as error:
        raise _foreign(path, expected, f"{path.stat().st_size} bytes that are no such thing") from error


def _foreign(path: Path, expected: str, got: str) -> ModelFileError:
    saved_model = path.name == "saved_model.pb"
    return ModelFileError(
        "the model file is truncated or foreign",
        subject=path,
        expected=expected,
        got="a part of a SavedModel" if saved_model else got,
        hint="load the folder that it is in" if saved_model else "copy it again, or save it again",
    )


def rename_functions(graph: Any) -> Any:
    """A copy of a GraphDef whose functions have names that no other function of this process has.

    TensorFlow keeps all functions in one table, and numbers them from 0 in each process: two files, or a file and this
    process, have the same names.
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
        for function in _function_names(node):
            function.name = names.get(function.name, function.name)


def _function_names(node: Any) -> Iterator[Any]:
    """The attributes of a node that name functions."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func
        yield from value.list.func
