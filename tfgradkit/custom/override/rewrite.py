"""A traced function written again into the current graph, op by op, with rules for some types of op.

A tape knows the ops of its own graph by their type alone, and the functions of a trace belong to whoever made it.
So the ops are made anew: the graph they come from, its traces and its gradients stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from ...errors import GradientError
from ...graph.emit import NoRuleError, emit
from ...graph.ops import called_graph, called_graphs
from ...op_gradients.registry import gradient_of
from .rule_targets import OverrideRule, ruled

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_OWN = "_gradient_op_type"


def _of_if(operation: Any) -> list[tuple[Any, ...]]:
    return [("else_branch",), ("then_branch",)]


def _of_case(operation: Any) -> list[tuple[Any, ...]]:
    return [("branches", i) for i in range(len(operation.get_attr("branches")))]


# Where the branches are, in the order of their numbers.
_BRANCHES = {"If": _of_if, "StatelessIf": _of_if, "Case": _of_case, "StatelessCase": _of_case}


class Replay:
    """Writes the ops of a graph into the current one.

    Args:
        rules: by op type.
        variables: of the graph.
    """

    def __init__(self, rules: Mapping[str, OverrideRule], variables: Sequence[Any]) -> None:
        self._rules = rules
        self._handles = {variable.handle.ref(): variable for variable in variables}

    def run(self, graph: Any, known: dict[Any, Any], outputs: Sequence[Any]) -> list[Any]:
        """``outputs`` of ``graph``, whose inputs are ``known``: what stands for a tensor, by its ``ref()``."""
        for operation in graph.get_operations():
            if all(tensor.ref() in known for tensor in operation.outputs) and operation.outputs:
                continue
            inputs = [known.get(tensor.ref(), tensor) for tensor in operation.inputs]
            results = self._results(operation, inputs, known)
            known |= {tensor.ref(): result for tensor, result in zip(operation.outputs, results, strict=True)}
        return [known.get(tensor.ref(), tensor) for tensor in outputs]

    def _results(self, operation: Any, inputs: list[Any], known: dict[Any, Any]) -> Sequence[Any]:
        if operation.type in self._rules:
            again = partial(_emitted, operation)
            attributes = _Attributes(operation)
            rule = self._rules[operation.type]
            return ruled(lambda *xs: again(xs), inputs, rule, operation.type, operation.name, attributes)
        if _OWN in operation.node_def.attr and operation.type == "IdentityN":
            return self._with_own_gradient(operation, inputs, known)
        if operation.type in _CALLS:
            # Behind its own results a function lists what its gradients, if it has any, want to know.
            return self._inlined(called_graph(operation, "f"), inputs)[: len(operation.outputs)]
        if operation.type == "ReadVariableOp" and inputs[0].ref() in self._handles:
            return [self._handles[inputs[0].ref()].read_value()]  # by which tapes know the variable
        if operation.type in ("ResourceGather", "ResourceGatherNd") and inputs[0].ref() in self._handles:
            self._handles[inputs[0].ref()].read_value()
        if any(op_types(graph) & set(self._rules) for graph in called_graphs(operation)):
            return self._control_flow(operation, inputs)
        return _emitted(operation, inputs)

    def _inlined(self, graph: Any, inputs: Sequence[Any]) -> list[Any]:
        known = {inner.ref(): given for inner, given in zip(graph.inputs, inputs, strict=True)}
        return self.run(graph, known, graph.outputs)

    def _control_flow(self, operation: Any, inputs: list[Any]) -> list[Any]:
        """Branches and loops with such an op inside are built anew."""
        if operation.type in _BRANCHES:
            graphs = [called_graph(operation, *place) for place in _BRANCHES[operation.type](operation)]
            branches = [partial(self._inlined, graph, inputs[1:]) for graph in graphs]
            return list(tf.switch_case(tf.cast(inputs[0], tf.int32), branches))[: len(operation.outputs)]
        if operation.type in ("While", "StatelessWhile"):
            condition, body = (called_graph(operation, name) for name in ("cond", "body"))
            return list(
                tf.while_loop(
                    lambda *state: tf.reshape(self._inlined(condition, state)[0], []),
                    lambda *state: self._inlined(body, state),
                    inputs,
                    shape_invariants=[tensor.shape for tensor in operation.outputs],
                )
            )
        raise GradientError(
            "an op with the rule is inside an op that can't be built again",
            subject=f"{operation.type} {operation.name}",
            hint='a rule for a layer around it: "layer:NAME"',
        )

    def _with_own_gradient(self, operation: Any, inputs: list[Any], known: dict[Any, Any]) -> Sequence[Any]:
        """A ``tf.custom_gradient``: its gradient is written again, too."""
        _refuse_hidden(operation, self._rules)
        registered = gradient_of(operation.get_attr(_OWN).decode())

        @tf.custom_gradient
        def run(*inputs: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., Any]]:
            return tf.identity_n(list(inputs)), partial(self._gradient, operation, registered, known)

        return run(*inputs)

    def _gradient(
        self, operation: Any, registered: OverrideRule, known: dict[Any, Any], *upstream: tf.Tensor
    ) -> list[Any]:
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in operation.outputs]
        traced = tf.function(lambda *us: registered(operation, *us), autograph=False).get_concrete_function(*specs)
        graph = traced.graph
        # What it closes over are tensors of the graph that is written again.
        inner = {inner.ref(): known.get(outer.ref(), outer) for outer, inner in graph.captures}
        inner |= {given.ref(): u for given, u in zip(graph.inputs, upstream, strict=False)}
        flat = [y for y in graph.structured_outputs if y is not None]
        found = iter(self.run(graph, inner, flat))
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


class _Attributes(dict[str, Any]):
    """Those of an op, read when they are asked for."""

    def __init__(self, operation: Any) -> None:
        super().__init__()
        self._operation = operation

    def __missing__(self, name: str) -> Any:
        return self._operation.get_attr(name)


def op_types(graph: Any) -> set[str]:
    """The types of all ops of a graph and of the functions it calls."""
    found = set()
    for operation in graph.get_operations():
        found.add(operation.type)
        for inner in called_graphs(operation):
            found |= op_types(inner)
    return found


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
