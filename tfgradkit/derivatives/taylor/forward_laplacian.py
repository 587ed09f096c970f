"""Walking the graph that a function made, and carrying jets from x to its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from ...graph.dependence import added, reached, sample_bytes
from ...graph.emit import NoRuleError, emit
from ...graph.ops import called_graphs
from ...op_gradients.exact_functions import plain_silu
from ..pullback import Partials, Tensors
from . import linear_rules as _linear  # noqa: F401  registers its rules
from .jet import Jet
from .taylor_rules import RULES, local

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Stateful by name alone: they may be run again.
_READS = frozenset({"ReadVariableOp", "ResourceGather"})
Jets = dict[Any, Jet]


class JetProgram:
    """A function written into the current graph, along which jets are carried.

    Attributes:
        xs, ys: its arguments and results.
        sample_bytes: of all intermediate results that depend on xs, for one sample.
    """

    def __init__(self, f: Callable[[Tensors], Tensors], xs: Tensors) -> None:
        self.xs = xs
        with plain_silu():
            self.ys, self._operations = added(f, xs)
        self.sample_bytes = sample_bytes(reached(self._operations, xs))

    def carry(self, slopes: Partials) -> list[Jet]:
        """The results along the directions ``slopes``, each ``[D, *x]``, where axes may have size 1; None for zero.

        Raises:
            NoRuleError: the graph has an op that has no rule and no usable gradient, or state, or a
                gradient of the user's own.
        """
        jets = {x.ref(): Jet(x, slope) for x, slope in zip(self.xs, slopes, strict=True)}
        return _walk(self._operations, self.ys, jets, _untouched)


def _untouched(operation: Any, inputs: list[Jet]) -> list[Jet]:
    """What does not depend on x stays as it is: it is a tensor of this graph already."""
    return [Jet(_own_handle(y)) for y in operation.outputs]


def _run_again(operation: Any, inputs: list[Jet]) -> list[Jet]:
    """In the body of a function nothing is a tensor of this graph."""
    if operation.op_def.is_stateful and operation.type not in _READS:
        raise NoRuleError(operation.type)
    return [Jet(y) for y in emit(operation, [jet.value for jet in inputs])]


def _walk(
    operations: Iterable[Any],
    outputs: Sequence[tf.Tensor],
    jets: Jets,
    constant: Callable[[Any, list[Jet]], list[Jet]],
) -> list[Jet]:
    """Jets of ``outputs``; graphs list their ops in an order in which they can be run."""
    for operation in _needed(list(operations), outputs, jets):
        inputs = [jets.get(t.ref()) or Jet(_own_handle(t)) for t in operation.inputs]
        active = [i for i, jet in enumerate(inputs) if jet.slopes is not None]
        if operation.type in _CALLS and (active or constant is _run_again):
            results = _called(operation, inputs)
        elif active:
            results = _differentiated(operation, inputs, active)
        else:
            results = constant(operation, inputs)
        jets |= {tensor.ref(): jet for tensor, jet in zip(operation.outputs, results, strict=True)}
    return [jets.get(y.ref()) or Jet(y) for y in outputs]


def _own_handle(tensor: Any) -> Any:
    """A variable's own handle for what stands for it in a graph: tapes know the variable by that."""
    while tensor.dtype == tf.resource and tf.is_symbolic_tensor(tensor):
        outer = next((given for given, inner in getattr(tensor.graph, "captures", ()) if inner is tensor), None)
        if outer is None:
            break
        tensor = outer
    return tensor


def _needed(operations: list[Any], outputs: Sequence[tf.Tensor], jets: Jets) -> list[Any]:
    """Those on the way to ``outputs``."""
    wanted = {y.ref() for y in outputs}
    found = []
    for operation in reversed(operations):
        if any(y.ref() in wanted and y.ref() not in jets for y in operation.outputs):
            found.append(operation)
            wanted.update(t.ref() for t in operation.inputs)
    return found[::-1]


def _called(operation: Any, inputs: list[Jet]) -> list[Jet]:
    graphs = called_graphs(operation)
    if len(graphs) != 1 or len(graphs[0].inputs) != len(inputs):
        raise NoRuleError(operation.type)
    graph = graphs[0]
    # Behind its own results a function lists what its gradients, if it has any, want to know.
    outputs = graph.outputs[: len(operation.outputs)]
    if [y.dtype for y in outputs] != [y.dtype for y in operation.outputs]:
        raise NoRuleError(operation.type)
    jets = {inner.ref(): jet for inner, jet in zip(graph.inputs, inputs, strict=True)}
    return _walk(graph.get_operations(), outputs, jets, _run_again)


def _differentiated(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """Nothing is known of a gradient of somebody's own, nor of an op that may not be run twice."""
    own_gradient = "_gradient_op_type" in operation.node_def.attr or operation.type == "PreventGradient"
    plain = all(inputs[i].value.dtype.is_floating for i in active) and not any(map(_hides, operation.outputs))
    ranked = all(t.shape.rank is not None for t in (*operation.inputs, *operation.outputs))
    if own_gradient or operation.op_def.is_stateful or not plain or not ranked or _holds_function(operation):
        raise NoRuleError(operation.type)
    return RULES.get(operation.type, local)(operation, inputs, active)


def _holds_function(operation: Any) -> bool:
    return any(a.HasField("func") or a.list.func for a in operation.node_def.attr.values())


def _hides(tensor: Any) -> bool:
    """Whether it may carry a derivative without being floating: a list of tensors, state, a complex number."""
    return tensor.dtype.is_complex or tensor.dtype in (tf.variant, tf.resource)
