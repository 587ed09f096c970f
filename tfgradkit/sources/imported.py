"""A piece of a GraphDef as a function that a tape differentiates."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import tensorflow as tf

from ..errors import GradientError, ModelFileError, SourceError, UnknownLayerError
from ..rules.emission import emit
from .subgraph import REFERENCES, Subgraph
from .tensor_names import Names

# An op that stands in a trace for some of the file says so, a line for each: "Variable : VariableV2".
STANDS_FOR = "_tfgradkit_stands_for"
_BRANCHES = frozenset({"Switch", "Merge", "RefSwitch", "RefMerge"})
_READ = "ReadVariableOp"


class Imported:
    """The function from the inputs to the outputs: a tensor, or a tuple where several were named.

    In a graph its ops are made again one by one, with their names, so that the graph of a derivative is as if the
    function had been written there. Where that would change it (branches and loops of TensorFlow 1, what waits
    for something else, random numbers, functions, replaced gradients), it is a function that is called.

    Attributes:
        input_specs: of the inputs, with their names.
        batched: whether the first axis of inputs and outputs is unknown; inputs without axes don't count.
    """

    def __init__(self, names: Names, part: Subgraph, variables: dict[str, tf.Variable], path: Path) -> None:
        self._names, self._part, self._path = names, part, path
        self._variables = {node.name: (variables[node.name], node.op) for node in part.variables}
        graph = _graph(part.whole, path)
        inputs, outputs = (_found(graph, listed, path) for listed in (names.inputs, names.outputs))
        self.input_specs = tuple(tf.TensorSpec(x.shape, x.dtype, name=re.sub(r"\W", "_", x.op.name)) for x in inputs)
        lead = [x for x in inputs if x.shape.rank != 0]
        self.batched = bool(lead) and all(map(_starts_unknown, lead)) and all(map(_may_start_unknown, outputs))
        own = {node.name for node in part.graph.node}
        operations = [operation for operation in graph.get_operations() if operation.name in own]
        self._operations = operations if all(map(_repeatable, operations)) else None
        body = self._called if self._operations is None else self._repeated
        self._function = tf.function(body, autograph=False)
        self._general = tf.function(body, input_signature=self.input_specs, autograph=False)

    def __call__(self, *xs: Any) -> Any:
        """The outputs at the inputs."""
        results = self._body()(*xs)
        return results[0] if len(results) == 1 else tuple(results)

    def _body(self) -> Callable[..., Sequence[tf.Tensor]]:
        if self._part.loops:
            return _without_gradient(self._general, self._path)
        if tf.executing_eagerly():
            return self._general
        # For the very shapes that are given.
        return self._function if self._operations is None else self._repeated

    def _repeated(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """The ops made again, as a tape can see them."""
        found = dict(zip(self._names.inputs, xs, strict=True))
        _name_arguments(found)
        for name, (variable, op) in self._variables.items():
            if op in REFERENCES:
                found[f"{name}:0"] = _marked(variable.value(), f"{name} : {op}")
        for operation in self._operations or ():
            results = self._again(operation, found)
            for tensor, result in zip(operation.outputs, results, strict=True):
                found.setdefault(tensor.name, result)
        return [found[name] for name in self._names.outputs]

    def _again(self, operation: Any, found: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        if operation.type == _READ:
            name = operation.inputs[0].op.name
            variable, op = self._variables[name]
            return [_marked(variable.value(), f"{operation.name} : {_READ}\n{name} : {op}")]
        return emit(operation, [found[tensor.name] for tensor in operation.inputs], name=operation.name)

    def _called(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        given = dict(zip(self._names.inputs, xs, strict=True))
        _name_arguments(given)
        for name, (variable, op) in self._variables.items():
            given[f"{name}:0"] = _marked(_value(variable, op), f"{name} : {op}")
        wanted = [name for name in self._names.outputs if name not in given]
        made = tf.graph_util.import_graph_def(
            self._part.graph,
            input_map={name: tensor for name, tensor in given.items() if name in self._part.read},
            return_elements=wanted,
            name="",
        )
        found = given | dict(zip(wanted, made, strict=True))
        return [found[name] for name in self._names.outputs]


def _value(variable: tf.Variable, op: str) -> tf.Tensor:
    """What the op of the file gives: the value, or the handle."""
    if op in REFERENCES:
        return variable.value()
    graph = tf.compat.v1.get_default_graph()
    graph.watch_variable(variable)  # so that an outer tape knows of it
    return graph.capture(variable.handle)


def _marked(tensor: tf.Tensor, text: str) -> tf.Tensor:
    tensor.op._set_attr(STANDS_FOR, tf.compat.v1.AttrValue(s=text.encode()))
    return tensor


def _name_arguments(given: dict[str, tf.Tensor]) -> None:
    """An argument of a traced function can't have a name like "in/x"."""
    for name, tensor in given.items():
        op = name.partition(":")[0]
        if tensor.op.type == "Placeholder" and "/" in op:
            _marked(tensor, f"{op} : Placeholder")


def _repeatable(operation: Any) -> bool:
    attributes = operation.node_def.attr
    return (
        hasattr(tf.raw_ops, operation.type)
        and not operation.control_inputs
        and (operation.type == _READ or not operation.op_def.is_stateful)
        and (operation.type != _READ or operation.inputs[0].op.type == "VarHandleOp")
        and operation.type not in _BRANCHES
        and "_gradient_op_type" not in attributes
        and not any(value.HasField("func") or value.list.func for value in attributes.values())
    )


def _graph(whole: Any, path: Path) -> tf.Graph:
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


def _found(graph: tf.Graph, names: Sequence[str], path: Path) -> list[Any]:
    try:
        return [graph.get_tensor_by_name(name) for name in names]
    except (KeyError, ValueError) as error:  # of an op with fewer results
        raise _refused(path, error) from error


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


def _without_gradient(function: Any, path: Path) -> Any:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise GradientError(
            "a loop of TensorFlow 1 can't be differentiated from its graph alone",
            subject=path,
            hint="make the graph again with tf.compat.v1.enable_control_flow_v2(), whose loops can be, and save it",
        )

    return tf.custom_gradient(lambda *xs: (function(*xs), refused))


def _starts_unknown(tensor: Any) -> bool:
    return bool(tensor.shape.rank) and tensor.shape[0] is None


def _may_start_unknown(tensor: Any) -> bool:
    return tensor.shape.rank is None or _starts_unknown(tensor)
