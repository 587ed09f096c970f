"""A part of a GraphDef as a function that a tape differentiates.

Where it can, :class:`ImportedFunction` emits the ops again, one by one, as if the function had been written where it is
traced. Branches of TensorFlow 1 have ops that no tape records: :func:`flat_gradient` differentiates them in their
graph. Loops of TensorFlow 1 have no gradient.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import tensorflow as tf

from ..arguments import starts_unknown
from ..errors import GradientError, ModelFileError, SignatureError, SourceError, UnknownLayerError
from ..graph.emit import emit
from ..graph.ops import OLD_BRANCHES, calls_functions
from .subgraph import REFERENCES, Subgraph
from .tensor_names import Names, tensor_name

Build = Callable[..., Sequence[tf.Tensor]]
# The attribute of an op of a trace that stands for ops of the file: a line for each, such as "Variable : VariableV2".
STANDS_FOR = "_tfgradkit_stands_for"
_READ = "ReadVariableOp"


class ImportedFunction:
    """The function from the inputs to the outputs: it returns a tensor, or a tuple for several names.

    In a trace its ops are emitted again one by one, with their names. Where that would change them (control
    dependencies, random numbers, called functions, replaced gradients), the trace calls a function instead; branches
    have the gradient of :func:`flat_gradient`.

    Attributes:
        input_specs: the specs of the inputs, with their names.
        batched: whether the first axis of inputs and outputs is unknown; inputs without axes don't count.
    """

    def __init__(self, names: Names, part: Subgraph, variables: dict[str, tf.Variable], path: Path) -> None:
        self._names, self._part = names, part
        self._variables = {node.name: (variables[node.name], node.op) for node in part.variables}
        graph = import_graph(part.whole, path)
        inputs, outputs = (tensors_of(graph, listed, path) for listed in (names.inputs, names.outputs))
        self.input_specs = tuple(tf.TensorSpec(x.shape, x.dtype, name=re.sub(r"\W", "_", x.op.name)) for x in inputs)
        lead = [x for x in inputs if x.shape.rank != 0]
        may_start_unknown = all(y.shape.rank is None or starts_unknown(y.shape) for y in outputs)
        self.batched = bool(lead) and all(starts_unknown(x.shape) for x in lead) and may_start_unknown
        own = {node.name for node in part.graph.node}
        self._operations = [operation for operation in graph.get_operations() if operation.name in own]
        self._functions: dict[Any, Any] = {}
        self._traced = self._choose_call(path)
        # Eagerly, one trace for all shapes.
        self._eager = tf.function(self._traced, input_signature=self.input_specs, autograph=False)

    def __call__(self, *xs: Any) -> Any:
        """The outputs at the inputs."""
        results = (self._eager if tf.executing_eagerly() else self._traced)(*xs)
        return results[0] if len(results) == 1 else tuple(results)

    def _choose_call(self, path: Path) -> Callable[..., Sequence[tf.Tensor]]:
        """The way in which a trace contains the function."""
        if self._part.loops:
            return _refusing_gradient(self._opaque_call, path)
        branches = any(operation.type in OLD_BRANCHES for operation in self._operations)
        if branches and all(map(_is_plain_read, self._operations)):
            flat = flat_gradient(self._flat_body)
            return lambda *xs: flat(*xs, *self._values())
        if not branches and all(map(_is_emittable, self._operations)):
            return self._emitted
        return self._call

    def _emitted(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """The ops emitted again, where a tape records them."""
        tensors = dict(zip(self._names.inputs, xs, strict=True))
        _name_arguments(tensors)
        for name, (variable, op) in self._variables.items():
            if op in REFERENCES:
                tensors[f"{name}:0"] = _marked(variable.value(), f"{name} : {op}")
        for operation in self._operations:
            results = self._emit_again(operation, tensors)
            for tensor, result in zip(operation.outputs, results, strict=True):
                tensors.setdefault(tensor.name, result)
        return [tensors[name] for name in self._names.outputs]

    def _emit_again(self, operation: Any, tensors: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        if operation.type == _READ:
            name = operation.inputs[0].op.name
            variable, op = self._variables[name]
            return [_marked(variable.value(), f"{operation.name} : {_READ}\n{name} : {op}")]
        return emit(operation, [tensors[tensor.name] for tensor in operation.inputs], name=operation.name)

    def _call(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """A call of the function, which a tape differentiates."""
        results: list[tf.Tensor] = self._function(*xs)(*xs)
        return results

    def _opaque_call(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """A call that no tape looks into: a tape would fail at a loop of TensorFlow 1."""
        function = self._function(*xs)
        dtypes = [tensor.dtype for tensor in function.outputs]
        arguments = [*xs, *function.captured_inputs]
        results: list[tf.Tensor] = tf.raw_ops.StatefulPartitionedCall(args=arguments, Tout=dtypes, f=function)
        return results

    def _function(self, *xs: tf.Tensor) -> Any:
        """The function for arguments of these shapes."""
        key = tuple(None if x.shape.rank is None else tuple(x.shape.as_list()) for x in xs)
        if key not in self._functions:
            with tf.init_scope():
                # Not tf.function: it orders stateful ops, and fails at the loops and functions of a file.
                specs = [tf.TensorSpec(x.shape, x.dtype) for x in xs]
                self._functions[key] = tf.compat.v1.wrap_function(self._body, specs)
        return self._functions[key]

    def _body(self, *xs: tf.Tensor) -> list[tf.Tensor]:
        """The imported ops as the body of a function."""
        tensors = dict(zip(self._names.inputs, xs, strict=True))
        _name_arguments(tensors)
        for name, (variable, op) in self._variables.items():
            tensors[f"{name}:0"] = _marked(_value(variable, op), f"{name} : {op}")
        return self._import(tensors)

    def _values(self) -> list[tf.Tensor]:
        return [_marked(variable.value(), f"{name} : {op}") for name, (variable, op) in self._variables.items()]

    def _flat_body(self, *arguments: tf.Tensor) -> list[tf.Tensor]:
        """The imported ops, as a function of the inputs and of the values of the variables."""
        tensors = dict(zip(self._names.inputs, arguments, strict=False))
        values = dict(zip(self._variables, arguments[len(tensors) :], strict=True))
        tensors |= {f"{name}:0": value for name, value in values.items()}
        reads = [operation for operation in self._operations if operation.type == _READ]
        return self._import(tensors | {read.outputs[0].name: values[read.inputs[0].op.name] for read in reads})

    def _import(self, tensors: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        """The outputs of the imported ops; ``tensors`` stand for the tensors of the file by their names."""
        kept = tf.compat.v1.GraphDef(versions=self._part.graph.versions, library=self._part.graph.library)
        kept.node.extend(node for node in self._part.graph.node if f"{node.name}:0" not in tensors)
        read = {tensor_name(text) for node in kept.node for text in node.input if not text.startswith("^")}
        missing = [name for name in self._names.outputs if name not in tensors]
        imported = tf.graph_util.import_graph_def(
            kept,
            input_map={name: tensor for name, tensor in tensors.items() if name in read},
            return_elements=missing,
            name="",
        )
        tensors = tensors | dict(zip(missing, imported, strict=True))
        return [tensors[name] for name in self._names.outputs]


def _value(variable: tf.Variable, op: str) -> tf.Tensor:
    """The result of the variable's op in the file: the value, or the handle."""
    if op in REFERENCES:
        return variable.value()
    graph = tf.compat.v1.get_default_graph()
    graph.watch_variable(variable)  # so that an outer tape watches it
    return graph.capture(variable.handle)


def _marked(tensor: tf.Tensor, text: str) -> tf.Tensor:
    tensor.op._set_attr(STANDS_FOR, tf.compat.v1.AttrValue(s=text.encode()))
    return tensor


def _name_arguments(tensors: dict[str, tf.Tensor]) -> None:
    """Marks placeholders with their names in the file: an argument of a trace can't have a name like "in/x"."""
    for name, tensor in tensors.items():
        op = name.partition(":")[0]
        if tensor.op.type == "Placeholder" and "/" in op:
            _marked(tensor, f"{op} : Placeholder")


def _is_emittable(operation: Any) -> bool:
    """Whether an op may be emitted again; control dependencies don't matter where this holds for all ops."""
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


def flat_gradient(build: Build) -> Build:
    """``build`` as a function of tensors with the gradient of the ops that it writes, of any order.

    No tape records the ops of ``build``. The gradient calls ``build`` again, so that the ops and their gradient are in
    one graph: a result of a branch that isn't taken can't leave a function.
    """

    @tf.custom_gradient
    def call(*arguments: tf.Tensor) -> Any:
        xs = [_captured(x) for x in arguments]
        results = list(build(*xs))
        floating = [i for i, x in enumerate(xs) if x.dtype.is_floating]

        def pullback(*tensors: tf.Tensor) -> list[tf.Tensor]:
            inner, upstream = tensors[: len(xs)], tensors[len(xs) :]
            ys = build(*inner)
            return tf.gradients(ys, [inner[i] for i in floating], list(upstream), unconnected_gradients="zero")

        def gradient(*upstream: tf.Tensor) -> list[tf.Tensor | None]:
            gradients = dict(zip(floating, flat_gradient(pullback)(*xs, *upstream), strict=True))
            return [gradients.get(i) for i in range(len(xs))]

        return results, gradient

    return call


def _captured(x: tf.Tensor) -> tf.Tensor:
    """``x`` captured into this graph where it is a tensor of an outer graph: imported ops don't capture."""
    graph = tf.compat.v1.get_default_graph()
    return x if x.graph is graph else graph.capture(x)


def _refusing_gradient(function: Any, path: Path) -> Any:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise GradientError(
            "a loop of TensorFlow 1 can't be differentiated from its graph alone",
            subject=path,
            hint="make the graph again with tf.compat.v1.enable_control_flow_v2(), whose loops can be, and save it",
        )

    return tf.custom_gradient(lambda *xs: (function(*xs), refused))


def import_graph(whole: Any, path: Path) -> tf.Graph:
    """A GraphDef as a graph of its own, for the shapes and attributes of its ops.

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
    """The tensors of ``graph`` by their names.

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
