"""From the inputs forward, op by op: how far their gradient would come, and where it is cut first.

Two things travel: the gradient's way, and the mere influence on values, which goes through everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import tensorflow as tf

from ...graph.interpret import Abstract, in_order
from ...graph.ops import functions_of, handed_over
from ..trace_ops.recording import Step, steps_of
from .cut import Cut, carries, cut_by

# By identity, with the thing itself, which so is kept: a graph with its steps, a step with what cuts it.
Cuts = dict[Any, tuple[Any, Any]]
# A tensor that a gradient comes from, or one whose gradient is cut on the way.
Influenced = Literal["connected"] | Cut
Reach = Influenced | None
CONNECTED: Literal["connected"] = "connected"
_READERS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp"})


class Walk(Abstract[Influenced]):
    """The states of the tensors that some inputs influence, after the steps so far.

    Args:
        states: of those inputs, by ``ref()``.
        layer_names: of the layers whose scopes name ops.
        cuts: what is known of ops already, from walks from other inputs.
    """

    def __init__(self, states: dict[Any, Reach], layer_names: Sequence[str] = (), cuts: Cuts | None = None) -> None:
        super().__init__(states)
        self._layer_names = layer_names
        self._cuts: Cuts = {} if cuts is None else cuts

    def inside(self, step: Step) -> Walk:
        """The walk through the function that a step calls."""
        inner = self.enter(step, step.graph, [self.value(tensor) for tensor in step.inputs])
        inner.run(self.contents(step.graph))
        return inner

    def contents(self, graph: Any) -> list[Step]:
        """The steps of a graph, made once."""
        if id(graph) not in self._cuts:
            steps = steps_of(in_order(graph.get_operations()), self._layer_names)
            self._cuts[id(graph)] = (graph, steps)
        found: list[Step] = self._cuts[id(graph)][1]
        return found

    def order(self, operations: list[Any], outputs: Sequence[Any]) -> Iterable[Any]:
        """All steps, as they are."""
        return operations

    def functions(self, operation: Step) -> list[Any]:
        """Those that a step calls, which may have run eagerly."""
        if operation.graph is not None:
            return [operation.graph]
        return functions_of(operation.operation) if hasattr(operation.operation, "node_def") else []

    def replaced(self, operation: Step) -> bool:
        """A gradient of the user's is asked like all others."""
        return False

    def op(self, operation: Step, inputs: list[Reach]) -> Sequence[Reach]:
        """Whether its gradient function leads on what comes from the inputs that are connected, or fail."""
        if operation.type == "IdentityN" and "_gradient_op_type" not in _attributes(operation):
            return list(inputs)
        alive = [i for i, state in enumerate(inputs) if _rank(state) > 1]
        if not alive:
            return self.opaque(operation, inputs)
        key = (id(operation), *alive)
        if key not in self._cuts:
            self._cuts[key] = (operation, cut_by(operation, alive))
        cut = self._cuts[key][1]
        if cut is not None:
            return [self._here(cut)] * len(operation.outputs)
        so_far = _joined([inputs[i] for i in alive])
        end = self._here(Cut("not_differentiable", operation))
        return [so_far if carries(tensor.dtype) else end for tensor in operation.outputs]

    def opaque(self, operation: Step, inputs: list[Reach]) -> Sequence[Reach]:
        """Influence goes through."""
        return [_joined(inputs)] * len(operation.outputs)

    def branch(self, operation: Step, graphs: list[Any], inputs: list[Reach]) -> Sequence[Reach]:
        """What only decides which branch is taken has no gradient."""
        choice = self._here(Cut("not_differentiable", operation)) if inputs[0] == CONNECTED else inputs[0]
        return [_joined([state, choice]) for state in super().branch(operation, graphs, inputs)]

    def ended(self, after: list[Reach], made: list[Reach]) -> Sequence[Reach]:
        """A loop is taken to make a turn."""
        return made

    def either(self, first: Influenced, second: Influenced) -> Reach:
        """What is influenced by several."""
        return _joined([first, second])

    def settled(self, inner: Walk, before: Sequence[Reach], after: Sequence[Reach]) -> bool:
        """Whether no more variables get influenced by another turn."""
        return [_rank(state) for state in before] == [_rank(state) for state in after]

    def leave(self, inner: Self, caller: Step, graph: Any) -> None:
        """What a function writes into variables is known to the caller afterwards."""
        for tensor, outer in zip(graph.inputs, handed_over(caller, caller.inputs), strict=True):
            if tensor.dtype == tf.resource and self.value(outer) is None:
                self.put(outer, inner.value(tensor))

    def passed(self, operation: Step) -> None:
        """What an op is told, it may write into the variables, queues and iterators that it takes."""
        told = _joined([self.value(tensor) for tensor in operation.inputs if tensor.dtype != tf.resource])
        if told is None or operation.type in _READERS or self.functions(operation):
            return
        for tensor in operation.inputs:
            if tensor.dtype == tf.resource and self.value(tensor) is None:
                written = cut_by(operation, ()) or Cut("state", operation)
                self.put(tensor, told if isinstance(told, Cut) else self._here(written))

    def _here(self, cut: Cut) -> Cut:
        return replace(cut, calls=self.callers)


def _attributes(step: Step) -> Any:
    return step.operation.node_def.attr if hasattr(step.operation, "node_def") else ()


def _joined(states: Iterable[Reach]) -> Reach:
    """What is influenced by several: an op that fails counts before a connection, that before a cut."""
    return max(states, key=_rank, default=None)


def _rank(state: Reach) -> int:
    if isinstance(state, Cut):
        return 3 if state.fails else 1
    return 2 if state == CONNECTED else 0
