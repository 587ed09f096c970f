"""Walking the graph that a function made, and carrying jets from x to its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from ...graph.dependence import reached, sample_bytes
from ...graph.emit import NoRuleError, emit
from ...graph.interpret import Interpreter, added, needed, own_outputs
from ...graph.ops import calls_functions
from ...op_gradients.exact_functions import plain_silu
from ..pullback import Partials, Tensors
from . import linear_rules as _linear  # noqa: F401  registers its rules
from .jet import Jet
from .taylor_rules import RULES, local

# Stateful by name alone: they may be run again.
_READS = frozenset({"ReadVariableOp", "ResourceGather"})


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
        return _Carry(jets).run(self._operations, self.ys)


class _Carry(Interpreter[Jet]):
    """Jets of tensors. What does not depend on x has no slopes.

    In the graph itself that is a tensor already; in the body of a function nothing is, so every op is run again.
    """

    def order(self, operations: list[Any], outputs: Sequence[Any]) -> Iterable[Any]:
        """The ops on the way to ``outputs``."""
        wanted = {tensor.ref() for tensor in outputs} - set(self.values)
        return needed(
            operations,
            lambda operation: any(tensor.ref() in wanted for tensor in operation.outputs),
            lambda tensor: tensor.ref() in self.values,
        )

    def outside(self, tensor: Any) -> Jet:
        """A tensor that does not depend on x: no slopes."""
        return Jet(_own_handle(tensor))

    def results(self, operation: Any, inputs: list[Jet]) -> Sequence[Jet]:
        """What does not depend on x stays as it is."""
        if self.callers or any(jet.slopes is not None for jet in inputs):
            found = super().results(operation, inputs)
            for y, jet in zip(operation.outputs, found, strict=True):
                _as_before(jet, y.shape)
            return found
        return [Jet(_own_handle(y)) for y in operation.outputs]

    def op(self, operation: Any, inputs: list[Jet]) -> Sequence[Jet]:
        """By the rule for its type, or run again."""
        active = [i for i, jet in enumerate(inputs) if jet.slopes is not None]
        if active:
            return _differentiated(operation, inputs, active)
        if operation.op_def.is_stateful and operation.type not in _READS:
            raise NoRuleError(operation.type)
        return [Jet(y) for y in emit(operation, [jet.value for jet in inputs])]

    def call(self, operation: Any, graph: Any, inputs: list[Jet]) -> Sequence[Jet]:
        """Through the function, if it is the one that the op was made for."""
        outputs = own_outputs(operation, graph)
        if len(graph.inputs) != len(inputs) or [y.dtype for y in outputs] != [y.dtype for y in operation.outputs]:
            raise NoRuleError(operation.type)
        return super().call(operation, graph, inputs)

    def custom_gradient(self, operation: Any, inputs: list[Jet]) -> Sequence[Jet]:
        """There is no rule for a gradient of the user's own."""
        raise NoRuleError(operation.type)

    def opaque(self, operation: Any, inputs: list[Jet]) -> Sequence[Jet]:
        """There is no rule for a function whose graph is missing."""
        raise NoRuleError(operation.type)

    def branch(self, operation: Any, graphs: list[Any], inputs: list[Jet]) -> Sequence[Jet]:
        """There is no rule for branches."""
        raise NoRuleError(operation.type)

    def loop(self, operation: Any, condition: Any, body: Any, inputs: list[Jet]) -> Sequence[Jet]:
        """There is no rule for loops."""
        raise NoRuleError(operation.type)


def _as_before(jet: Jet, shape: tf.TensorShape) -> None:
    """In the body of a loop sizes and axes are no constants, and a shape gets lost that the graph knew."""
    jet.value.set_shape(shape)
    if jet.bend is not None and jet.bend.shape.rank is None and shape.rank is not None:
        jet.bend.set_shape([None] * shape.rank)  # which may be broadcast
    if jet.slopes is not None and jet.slopes.shape.rank is None and shape.rank is not None:
        jet.slopes.set_shape([None] * (shape.rank + 1))


def _own_handle(tensor: Any) -> Any:
    """A variable's own handle for what stands for it in a graph: tapes know the variable by that."""
    while tensor.dtype == tf.resource and tf.is_symbolic_tensor(tensor):
        outer = next((given for given, inner in getattr(tensor.graph, "captures", ()) if inner is tensor), None)
        if outer is None:
            break
        tensor = outer
    return tensor


def _differentiated(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """There is no rule for an op that may not run twice."""
    plain = all(inputs[i].value.dtype.is_floating for i in active) and not any(map(_hides, operation.outputs))
    ranked = all(t.shape.rank is not None for t in (*operation.inputs, *operation.outputs))
    once = operation.op_def.is_stateful or operation.type == "PreventGradient" or calls_functions(operation)
    if once or not plain or not ranked:
        raise NoRuleError(operation.type)
    return RULES.get(operation.type, local)(operation, inputs, active)


def _hides(tensor: Any) -> bool:
    """Whether it may carry a derivative without being floating: a list of tensors, state, a complex number."""
    return tensor.dtype.is_complex or tensor.dtype in (tf.variant, tf.resource)
