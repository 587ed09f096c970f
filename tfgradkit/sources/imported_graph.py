"""Gradients of functions whose ops no tape can record: branches of TensorFlow 1.

A piece of a GraphDef as a function that a tape differentiates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import tensorflow as tf

from ..errors import GradientError
from ..graph.emit import emit
from ..graph.ops import OLD_BRANCHES, calls_functions
from .subgraph import REFERENCES, Subgraph, imported_graph, tensors_of
from .tensor_names import Names, tensor_name

Build = Callable[..., Sequence[tf.Tensor]]


def flat_gradient(build: Build) -> Build:
    """``build`` as a function of tensors whose gradient is that of the graph it writes, of any order.

    ``build`` writes ops that no tape sees. It is called again where a gradient is taken, so that both are in one
    graph: what a branch that isn't taken would have made can't leave a function.
    """

    @tf.custom_gradient
    def call(*given: tf.Tensor) -> Any:
        xs = [_here(x) for x in given]
        results = list(build(*xs))
        floating = [i for i, x in enumerate(xs) if x.dtype.is_floating]

        def pulled(*tensors: tf.Tensor) -> list[tf.Tensor]:
            inner, upstream = tensors[: len(xs)], tensors[len(xs) :]
            ys = build(*inner)
            return tf.gradients(ys, [inner[i] for i in floating], list(upstream), unconnected_gradients="zero")

        def gradient(*upstream: tf.Tensor) -> list[tf.Tensor | None]:
            found = dict(zip(floating, flat_gradient(pulled)(*xs, *upstream), strict=True))
            return [found.get(i) for i in range(len(xs))]

        return results, gradient

    return call


def _here(x: tf.Tensor) -> tf.Tensor:
    """A tensor of an outer graph, as ops of this graph see it: what is imported doesn't look there by itself."""
    graph = tf.compat.v1.get_default_graph()
    return x if x.graph is graph else graph.capture(x)


# An op that stands in a trace for some of the file says so, a line for each: "Variable : VariableV2".
STANDS_FOR = "_tfgradkit_stands_for"
_READ = "ReadVariableOp"


class Imported:
    """The function from the inputs to the outputs: a tensor, or a tuple where several were named.

    In a graph its ops are made again one by one, with their names, so that the graph of a derivative is as if the
    function had been written there. Where that would change it (what waits for something else, random numbers,
    functions, replaced gradients), it is a function that is called; branches have a gradient of their own.

    Attributes:
        input_specs: of the inputs, with their names.
        batched: whether the first axis of inputs and outputs is unknown; inputs without axes don't count.
    """

    def __init__(self, names: Names, part: Subgraph, variables: dict[str, tf.Variable], path: Path) -> None:
        self._names, self._part = names, part
        self._variables = {node.name: (variables[node.name], node.op) for node in part.variables}
        graph = imported_graph(part.whole, path)
        inputs, outputs = (tensors_of(graph, listed, path) for listed in (names.inputs, names.outputs))
        self.input_specs = tuple(tf.TensorSpec(x.shape, x.dtype, name=re.sub(r"\W", "_", x.op.name)) for x in inputs)
        lead = [x for x in inputs if x.shape.rank != 0]
        self.batched = bool(lead) and all(map(_starts_unknown, lead)) and all(map(_may_start_unknown, outputs))
        own = {node.name for node in part.graph.node}
        self._operations = [operation for operation in graph.get_operations() if operation.name in own]
        self._wrappers: dict[Any, Any] = {}
        self._traced = self._way(path)
        # Eagerly, one trace for all shapes.
        self._eager = tf.function(self._traced, input_signature=self.input_specs, autograph=False)

    def __call__(self, *xs: Any) -> Any:
        """The outputs at the inputs."""
        results = (self._eager if tf.executing_eagerly() else self._traced)(*xs)
        return results[0] if len(results) == 1 else tuple(results)

    def _way(self, path: Path) -> Callable[..., Sequence[tf.Tensor]]:
        """How the function is written into a graph."""
        if self._part.loops:
            return _without_gradient(self._unseen, path)
        branches = any(operation.type in OLD_BRANCHES for operation in self._operations)
        if branches and all(map(_is_plain_read, self._operations)):
            flat = flat_gradient(self._flat)
            return lambda *xs: flat(*xs, *self._values())
        if not branches and all(map(_repeatable, self._operations)):
            return self._repeated
        return self._wrapped

    def _repeated(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """The ops made again, as a tape can see them."""
        found = dict(zip(self._names.inputs, xs, strict=True))
        _name_arguments(found)
        for name, (variable, op) in self._variables.items():
            if op in REFERENCES:
                found[f"{name}:0"] = _marked(variable.value(), f"{name} : {op}")
        for operation in self._operations:
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

    def _wrapped(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """A call of a function."""
        results: list[tf.Tensor] = self._function(*xs)(*xs)
        return results

    def _unseen(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """A call that no tape looks into: it would fail at a loop of old."""
        function = self._function(*xs)
        dtypes = [tensor.dtype for tensor in function.outputs]
        arguments = [*xs, *function.captured_inputs]
        results: list[tf.Tensor] = tf.raw_ops.StatefulPartitionedCall(args=arguments, Tout=dtypes, f=function)
        return results

    def _function(self, *xs: tf.Tensor) -> Any:
        """The function for arguments of these shapes."""
        key = tuple(None if x.shape.rank is None else tuple(x.shape.as_list()) for x in xs)
        if key not in self._wrappers:
            with tf.init_scope():
                # Not tf.function: it orders what is stateful, and stumbles over loops and functions of files.
                specs = [tf.TensorSpec(x.shape, x.dtype) for x in xs]
                self._wrappers[key] = tf.compat.v1.wrap_function(self._called, specs)
        return self._wrappers[key]

    def _called(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """The ops imported, for a function that is called."""
        given = dict(zip(self._names.inputs, xs, strict=True))
        _name_arguments(given)
        for name, (variable, op) in self._variables.items():
            given[f"{name}:0"] = _marked(_value(variable, op), f"{name} : {op}")
        return self._imported(given)

    def _values(self) -> list[tf.Tensor]:
        return [_marked(variable.value(), f"{name} : {op}") for name, (variable, op) in self._variables.items()]

    def _flat(self, *tensors: tf.Tensor) -> list[tf.Tensor]:
        """The ops imported, for the inputs and the values of the variables."""
        given = dict(zip(self._names.inputs, tensors, strict=False))
        values = dict(zip(self._variables, tensors[len(given) :], strict=True))
        given |= {f"{name}:0": value for name, value in values.items()}
        reads = [operation for operation in self._operations if operation.type == _READ]
        return self._imported(given | {read.outputs[0].name: values[read.inputs[0].op.name] for read in reads})

    def _imported(self, given: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        kept = tf.compat.v1.GraphDef(versions=self._part.graph.versions, library=self._part.graph.library)
        kept.node.extend(node for node in self._part.graph.node if f"{node.name}:0" not in given)
        read = {tensor_name(text) for node in kept.node for text in node.input if not text.startswith("^")}
        wanted = [name for name in self._names.outputs if name not in given]
        made = tf.graph_util.import_graph_def(
            kept,
            input_map={name: tensor for name, tensor in given.items() if name in read},
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
    """Whether an op may be made again by itself; what it only waits for is no matter, if all ops are such."""
    attributes = operation.node_def.attr
    return (
        hasattr(tf.raw_ops, operation.type)
        and _is_plain_read(operation)
        and (operation.type == _READ or not operation.op_def.is_stateful)
        and "_gradient_op_type" not in attributes
        and not calls_functions(operation)
    )


def _is_plain_read(operation: Any) -> bool:
    """Whether an op reads the whole of a variable, if it uses one."""
    handles = [tensor.op.type == "VarHandleOp" for tensor in operation.inputs if tensor.dtype == tf.resource]
    return all(handles) and (operation.type == _READ) == bool(handles)


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
