"""A traced function written again into the current graph, op by op, with rules for some types of op.

A tape knows the ops of its own graph by their type alone, and the functions of a trace belong to whoever made it.
So the ops are made anew: the graph they come from, its traces and its gradients stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from ...errors import GradientError, SignatureError
from ...graph.emit import NoRuleError, emit
from ...graph.interpret import Interpreter
from ...graph.ops import CALLS, called_graphs, everywhere, op_types
from ...graph.trace import flat_function, is_tensor_or_variable, specs_of
from ...op_gradients.registry import gradient_of
from .rule_targets import OverrideRule, ruled

_READS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd"})


class Replay(Interpreter[Any]):
    """Writes the ops of a graph into the current one: a value is the tensor that stands for one of the graph.

    Args:
        rules: by op type.
        variables: of the graph.
        known: by ``ref()`` of the graph's inputs what stands for them.
    """

    def __init__(self, rules: Mapping[str, OverrideRule], variables: Sequence[Any], known: dict[Any, Any]) -> None:
        super().__init__(known)
        self._rules = rules
        self._handles = {variable.handle.ref(): variable for variable in variables}

    def outside(self, tensor: Any) -> Any:
        """It stands for itself."""
        return tensor

    def results(self, operation: Any, inputs: list[Any]) -> Sequence[Any]:
        """With the rule for its type, if there is one."""
        if operation.type not in self._rules:
            return super().results(operation, inputs)
        rule = self._rules[operation.type]
        again = partial(_emitted, operation)
        return ruled(lambda *xs: again(xs), inputs, rule, operation.type, operation.name, _Attributes(operation))

    def op(self, operation: Any, inputs: list[Any]) -> Sequence[Any]:
        """The op again."""
        handle = self._handles.get(inputs[0].ref()) if operation.type in _READS else None
        if handle is not None and operation.type == "ReadVariableOp":
            return [handle.read_value()]  # by which tapes know the variable
        if handle is not None:
            handle.read_value()
        if any(not op_types(graph).isdisjoint(self._rules) for graph in called_graphs(operation)):
            raise GradientError(
                "an op with the rule is inside an op that can't be built again",
                subject=f"{operation.type} {operation.name}",
                hint='a rule for a layer around it: "layer:NAME"',
            )
        return _emitted(operation, inputs)

    def branch(self, operation: Any, graphs: list[Any], inputs: list[Any]) -> Sequence[Any]:
        """Branches are built anew: their gradient would change the functions of the op that they come from."""
        by_number = graphs if operation.type.endswith("Case") else graphs[::-1]
        branches = [partial(self.through, operation, graph, inputs[1:]) for graph in by_number]
        return list(tf.nest.flatten(tf.switch_case(tf.cast(inputs[0], tf.int32), branches)))

    def loop(self, operation: Any, condition: Any, body: Any, inputs: list[Any]) -> Sequence[Any]:
        """A loop is built anew, like branches."""
        return list(
            tf.while_loop(
                lambda *state: tf.reshape(self.through(operation, condition, state)[0], []),
                lambda *state: self.through(operation, body, state),
                inputs,
                shape_invariants=[tensor.shape for tensor in operation.outputs],
                # By which XLA knows how much a gradient has to keep.
                maximum_iterations=inputs[1] if _is_counted(condition, body, inputs) else None,
            )
        )

    def custom_gradient(self, operation: Any, inputs: list[Any]) -> Sequence[Any]:
        """A ``tf.custom_gradient``: its gradient is written again, too."""
        if operation.type != "IdentityN":
            return self.op(operation, inputs)
        _refuse_hidden(operation, self._rules)
        registered = gradient_of(operation.get_attr("_gradient_op_type").decode())

        @tf.custom_gradient
        def run(*inputs: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., Any]]:
            return tf.identity_n(list(inputs)), partial(self._gradient, operation, registered)

        return run(*inputs)

    def _gradient(self, operation: Any, registered: OverrideRule, *upstream: tf.Tensor) -> list[Any]:
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in operation.outputs]
        traced = tf.function(lambda *us: registered(operation, *us), autograph=False).get_concrete_function(*specs)
        graph = traced.graph
        inner = copy.copy(self)
        # What it closes over are tensors of the graph that is written again.
        inner.values = {inner.ref(): self.value(outer) for outer, inner in graph.captures}
        inner.values |= {given.ref(): u for given, u in zip(graph.inputs, upstream, strict=False)}
        flat = [y for y in graph.structured_outputs if y is not None]
        found = iter(inner.run(graph.get_operations(), flat))
        return [None if y is None else next(found) for y in graph.structured_outputs]


def _emitted(operation: Any, inputs: Sequence[Any]) -> list[Any]:
    try:
        return emit(operation, inputs)
    except NoRuleError as error:
        raise GradientError(
            "an op of the graph can't be written again",
            subject=f"{operation.type} {operation.name}",
            hint='a rule for a layer: {"layer:NAME": rule}',
        ) from error


def _is_counted(condition: Any, body: Any, inputs: Sequence[Any]) -> bool:
    """Whether a loop has ``maximum_iterations``: ``tf.while_loop`` makes them its second variable, a counter the first.

    In a loop that was made otherwise these are any variables, so that its condition and body have to show it.
    """
    if len(inputs) < 2 or any(x.dtype != tf.int32 or x.shape.rank != 0 for x in inputs[:2]):
        return False
    compared = any(op.type == "Less" and _takes(op, condition.inputs[:2]) for op in condition.get_operations())
    step = _origin(body.outputs[0])
    counted = step.type == "AddV2" and _takes(step, body.inputs[:1]) and tf.get_static_value(step.inputs[1]) == 1
    return bool(compared and counted and tf.get_static_value(inputs[0]) == 0)


def _takes(operation: Any, tensors: Sequence[Any]) -> bool:
    """Whether the first inputs of an op are ``tensors``."""
    return all(given is tensor for given, tensor in zip(operation.inputs, tensors, strict=False))


def _origin(tensor: Any) -> Any:
    """The op that makes a tensor, past identities."""
    return _origin(tensor.op.inputs[0]) if tensor.op.type == "Identity" else tensor.op


class _Attributes(dict[str, Any]):
    """Those of an op, read when they are asked for."""

    def __init__(self, operation: Any) -> None:
        super().__init__()
        self._operation = operation

    def __missing__(self, name: str) -> Any:
        return self._operation.get_attr(name)


def _refuse_hidden(operation: Any, rules: Mapping[str, OverrideRule]) -> None:
    """An op between the arguments and the result of a ``tf.custom_gradient`` is not asked for its gradient."""
    arguments = {tensor.ref() for tensor in list(operation.inputs)[1:]}
    todo, seen = [operation.inputs[0]], set()
    while todo:
        tensor = todo.pop()
        if tensor.ref() in arguments or tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        if tensor.op.type in rules:
            raise GradientError(
                "the op is inside a function with a gradient of its own, which asks for no other",
                subject=f"{tensor.op.type} {tensor.op.name}",
                hint='a rule for the layer or the activation around it: {"layer:NAME": rule}',
            )
        todo += [x for x in tensor.op.inputs if x.dtype.is_floating or x.dtype.is_complex]


class WithOpRules:
    """``call`` with ``rules`` in place of the gradients of types of op; ``checked`` says that there are such ops.

    Raises (when called):
        SignatureError: there is no op of a type.
    """

    def __init__(self, rules: Mapping[str, OverrideRule], call: Callable[..., Any], *, checked: bool = False) -> None:
        self._rules = rules
        self._call = call
        self._checked = checked
        self._function = tf.function(self._written, autograph=False)

    def __call__(self, *arguments: Any) -> Any:
        """The value of ``call``."""
        return (self._function if tf.executing_eagerly() else self._written)(*arguments)

    def _written(self, *arguments: Any) -> Any:
        """In the current graph."""
        flat, leaves = flat_function(lambda given: self._call(*given), arguments, is_tensor_or_variable)
        tensors = [tf.convert_to_tensor(leaf) for leaf in leaves]
        graph = tf.function(flat, autograph=False).get_concrete_function(*specs_of(tensors)).graph
        if not self._checked:
            check_op_types(self._rules, [graph])
        known = {inner.ref(): outer for outer, inner in graph.captures}
        known |= {inner.ref(): tensor for inner, tensor in zip(graph.inputs, tensors, strict=False)}
        outputs = [y for y in tf.nest.flatten(graph.structured_outputs) if y is not None]
        results = iter(Replay(self._rules, graph.variables, known).run(graph.get_operations(), outputs))
        return tf.nest.map_structure(lambda y: None if y is None else next(results), graph.structured_outputs)


def check_op_types(rules: Iterable[str], graphs: Sequence[Any]) -> None:
    """Raises :class:`SignatureError` where none of ``graphs`` has an op of one of the types."""
    there = set().union(*map(op_types, graphs))
    for wanted in rules:
        if wanted not in there:
            raise SignatureError(
                "the function has no such op",
                subject=repr(wanted),
                expected=" | ".join(sorted(set().union(*map(_differentiable, graphs)))),
                hint='a layer is named "layer:NAME", an activation is given as a function: keras.activations.relu',
            )


def _differentiable(graph: Any) -> set[str]:
    """Types of ops that take and give floating tensors."""
    found = {
        operation.type
        for operation in everywhere(graph.get_operations())
        if any(x.dtype.is_floating for x in operation.inputs) and any(y.dtype.is_floating for y in operation.outputs)
    }
    return found - CALLS - {"Identity", "IdentityN"}
