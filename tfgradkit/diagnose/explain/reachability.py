"""From the inputs forward, op by op: how far their gradient would come, and where it is cut first.

Two things travel: the gradient's way, and the mere influence on values, which goes through everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Literal

import tensorflow as tf

from ...graph.ops import LOOPS, called_graph
from ..trace_ops.recording import Step, steps_of
from .cut import Cut, carries, cut_by

# By identity, with the thing itself, which so is kept: a graph with its steps, a step with what cuts it.
Cuts = dict[Any, tuple[Any, Any]]
# A tensor that a gradient comes from, one whose gradient is cut on the way, one that isn't influenced.
Reach = Literal["connected"] | Cut | None
CONNECTED: Literal["connected"] = "connected"
_READERS = frozenset({"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp"})
_TWO_BRANCHES = frozenset({"If", "StatelessIf"})
_BRANCHES = frozenset({"Case", "StatelessCase"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


@dataclass
class Walk:
    """States of tensors, by ``ref()``, after the steps so far.

    Attributes:
        states: of what is influenced.
        cuts: what is known of ops already, from walks from other inputs.
        layer_names: of the layers whose scopes name ops.
    """

    states: dict[Any, Reach]
    layer_names: Sequence[str] = ()
    cuts: Cuts = field(default_factory=dict)

    def state(self, tensor: Any) -> Reach:
        """Of one tensor."""
        return self.states.get(tensor.ref())

    def over(self, steps: Iterable[Step]) -> Walk:
        """Itself, after more steps."""
        for step in steps:
            if not step.inputs:  # a constant, or an argument whose state is known
                continue
            given = [self.state(tensor) for tensor in step.inputs]
            for tensor, state in zip(step.outputs, self._results(step, given), strict=True):
                self.states[tensor.ref()] = state
            self._write(step, given)
        return self

    def _results(self, step: Step, given: list[Reach]) -> list[Reach]:
        if step.graph is None and not any(given):
            return [None] * len(step.outputs)
        graphs = _called(step)
        if any(graph is None for graph in graphs):
            return [_joined(given)] * len(step.outputs)
        if step.type in LOOPS:
            return self._around(step, graphs[0], given)
        if graphs:
            skipped = 1 if step.type in _TWO_BRANCHES | _BRANCHES else 0
            ways = [self._through(step, graph, given[skipped:]) for graph in graphs]
            choice = [_decided(step, state) for state in given[:skipped]]
            return [_joined([*states, *choice]) for states in zip(*ways, strict=True)]
        return _through_op(step, given, self.cuts)

    def inside(self, step: Step) -> Walk:
        """The walk through the function that a step calls."""
        return self._inner(step.graph, [self.state(tensor) for tensor in step.inputs])

    def _inner(self, graph: Any, given: Sequence[Reach]) -> Walk:
        start = {tensor.ref(): state for tensor, state in zip(graph.inputs, given, strict=False)}
        return Walk(start, self.layer_names, self.cuts).over(_steps(graph, self.layer_names, self.cuts))

    def _through(self, step: Step, graph: Any, given: Sequence[Reach]) -> list[Reach]:
        """The results of a function; what it writes into variables is known to the caller afterwards."""
        pairs = list(zip(graph.inputs, given, strict=False))
        inner = self._inner(graph, given)
        outside = step.inputs[len(step.inputs) - len(pairs) :]
        for (tensor, before), outer in zip(pairs, outside, strict=True):
            after = _within(step, inner.state(tensor))
            if before is None and after is not None and tensor.dtype == tf.resource:
                self.states[outer.ref()] = after
        return [_within(step, inner.state(tensor)) for tensor in graph.outputs[: len(step.outputs)]]

    def _around(self, step: Step, body: Any, given: list[Reach]) -> list[Reach]:
        """What a turn of the loop makes of its variables, once no more of them gets influenced by another turn."""
        current = list(given)
        while True:
            made = self._through(step, body, current)
            # A loop that is differentiated carries more than its body returns.
            after = [_joined(pair) for pair in zip_longest(current, made)][: len(current)]
            if [_rank(state) for state in after] == [_rank(state) for state in current]:
                return [*made, *current[len(made) :]][: len(step.outputs)]
            current = after

    def _write(self, step: Step, given: list[Reach]) -> None:
        """What an op is told, it may write into the variables, queues and iterators that it takes."""
        told = _joined([state for t, state in zip(step.inputs, given, strict=True) if t.dtype != tf.resource])
        if told is None or step.graph is not None or step.type in _READERS or _called(step):
            return
        for tensor in step.inputs:
            if tensor.dtype == tf.resource and self.state(tensor) is None:
                self.states[tensor.ref()] = told if isinstance(told, Cut) else cut_by(step, ()) or Cut("state", step)


def _called(step: Step) -> list[Any]:
    """The graphs of the functions that a step calls, a loop's condition left out."""
    if step.graph is not None:
        return [step.graph]
    if not hasattr(step.operation, "node_def"):
        return []
    if step.type in LOOPS:
        return [called_graph(step.operation, "body")]
    if step.type in _TWO_BRANCHES:
        return [called_graph(step.operation, name) for name in ("then_branch", "else_branch")]
    if step.type in _BRANCHES:
        count = len(step.operation.node_def.attr["branches"].list.func)
        return [called_graph(step.operation, "branches", i) for i in range(count)]
    return [called_graph(step.operation, "f")] if step.type in _CALLS else []


def _steps(graph: Any, layer_names: Sequence[str], kept: Cuts) -> list[Step]:
    """The steps of a graph, made once."""
    if id(graph) not in kept:
        kept[id(graph)] = (graph, steps_of(graph.get_operations(), layer_names))
    return kept[id(graph)][1]


def _through_op(step: Step, given: list[Reach], known: Cuts) -> list[Reach]:
    if step.type == "IdentityN" and "_gradient_op_type" not in _attributes(step):
        return list(given)
    alive = [i for i, state in enumerate(given) if state == CONNECTED or (isinstance(state, Cut) and state.fails)]
    if not alive:
        return [_joined(given)] * len(step.outputs)
    key = (id(step), *alive)
    if key not in known:
        known[key] = (step, cut_by(step, alive))
    cut = known[key][1]
    if cut is not None:
        return [cut] * len(step.outputs)
    so_far = _joined([given[i] for i in alive])
    return [so_far if carries(t.dtype) else Cut("not_differentiable", step) for t in step.outputs]


def _attributes(step: Step) -> Any:
    return step.operation.node_def.attr if hasattr(step.operation, "node_def") else ()


def _decided(step: Step, state: Reach) -> Reach:
    """What only decides which branch is taken has no gradient."""
    return Cut("not_differentiable", step) if state == CONNECTED else state


def _within(step: Step, state: Reach) -> Reach:
    return replace(state, calls=(step, *state.calls)) if isinstance(state, Cut) else state


def _joined(states: Iterable[Reach]) -> Reach:
    """What is influenced by several: an op that fails counts before a connection, that before a cut."""
    return max(states, key=_rank, default=None)


def _rank(state: Reach) -> int:
    if isinstance(state, Cut):
        return 3 if state.fails else 1
    return 2 if state == CONNECTED else 0
