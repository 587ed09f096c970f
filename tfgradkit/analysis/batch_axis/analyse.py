"""Whether a graph keeps the samples of a batch apart: its ops, one by one, by the rules of :mod:`rows`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from ...graph.dependence import called_graph
from . import shape_rules as _rules  # noqa: F401  registers its rules
from .op_rules import RULES, AxisState, MixingError, Rows, UnknownError, agreed

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "SymbolicGradient"})
_LOOPS = frozenset({"While", "StatelessWhile"})
_BRANCHES = {
    **dict.fromkeys(("If", "StatelessIf"), ("then_branch", "else_branch")),
    **dict.fromkeys(("Case", "StatelessCase"), ("branches",)),
}


@dataclass(frozen=True)
class Suspect:
    """An op that may mix samples.

    Attributes:
        op: itself, perhaps in a function.
        at: the op of the graph that was asked about: itself, or the call of that function.
        mixing: whether it is known to; else no rule is known for it.
    """

    op: Any
    at: Any
    mixing: bool


@dataclass
class Screen:
    """What the ops do with the samples.

    Attributes:
        suspects: ops that don't keep them apart, as far as is known.
        states: where the samples of each tensor lie; without an entry, it doesn't depend on them.
    """

    suspects: list[Suspect] = field(default_factory=list)
    states: dict[Any, Rows] = field(default_factory=dict)

    @property
    def suspect(self) -> Any:
        """The op to name, if the samples are found to be mixed."""
        known = [suspect.op for suspect in self.suspects if suspect.mixing]
        return next(iter([*known, *(suspect.op for suspect in self.suspects)]), None)

    def state(self, tensor: Any) -> AxisState:
        """Where the samples of ``tensor`` lie."""
        return self.states.get(tensor.ref())


def screened(operations: Iterable[Any], xs: Sequence[Any], ys: Sequence[Any]) -> Screen:
    """The ``operations`` of a graph, in their order, on the way from ``xs`` to ``ys``.

    The samples lie on the first axis of each of ``xs``.
    """
    screen = Screen(states={x.ref(): Rows(0) for x in xs})
    _walk(operations, screen)
    _drop_the_rest(screen, ys)
    return screen


def _walk(operations: Iterable[Any], screen: Screen) -> None:
    for op in operations:
        given = [screen.state(tensor) for tensor in op.inputs]
        if op.outputs and any(state is not None for state in given):
            for tensor, state in zip(op.outputs, _result(op, given, screen), strict=True):
                if state is not None and _differentiable(tensor):
                    screen.states[tensor.ref()] = state


def _drop_the_rest(screen: Screen, ys: Sequence[Any]) -> None:
    """What is not on the way to ``ys``, such as the condition of a branch, has no part in their derivative."""
    if not screen.suspects:
        return
    reaching, waiting = set(), [y.op for y in ys]
    while waiting:
        op = waiting.pop()
        if op not in reaching:
            reaching.add(op)
            waiting += [tensor.op for tensor in op.inputs if tensor.ref() in screen.states]
    screen.suspects = [suspect for suspect in screen.suspects if suspect.at in reaching]


def _differentiable(tensor: Any) -> bool:
    """Indices and conditions carry no derivative; lists of tensors are variants."""
    return bool(tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype == tf.variant)


def _result(op: Any, given: list[AxisState], screen: Screen) -> Sequence[AxisState]:
    if not any(_differentiable(tensor) for tensor in op.outputs):
        return [None] * len(op.outputs)
    mixing = False
    try:
        if op.type in RULES:
            return RULES[op.type](op, given)
        return _called(op, given, screen)
    except MixingError:
        mixing = True
    except (UnknownError, IndexError, ValueError):
        pass
    screen.suspects.append(Suspect(op, op, mixing))
    # Go on as if it kept them, for what else there is.
    return [Rows(0)] * len(op.outputs)


def _called(op: Any, given: list[AxisState], screen: Screen) -> Sequence[AxisState]:
    """The functions that an op calls, if it is of that kind."""
    # A gradient taken of a call meanwhile has added outputs to the function, behind those of the op.
    count = len(op.outputs)
    if op.type in _CALLS:
        return _through(called_graph(op, "f"), given, screen, op)[:count]
    if op.type in _LOOPS:
        return _around(op, given, screen)
    if op.type in _BRANCHES:
        return _joined([_through(graph, given[1:], screen, op)[:count] for graph in _branches(op)])
    raise UnknownError


def _branches(op: Any) -> list[Any]:
    names = _BRANCHES[op.type]
    if len(names) == 2:
        return [called_graph(op, name) for name in names]
    return [called_graph(op, names[0], i) for i in range(len(op.node_def.attr[names[0]].list.func))]


def _through(graph: Any, given: Sequence[AxisState], screen: Screen, caller: Any) -> list[AxisState]:
    if graph is None:
        raise UnknownError
    inner = Screen()
    for tensor, state in zip(graph.inputs, given, strict=True):
        if state is not None:
            inner.states[tensor.ref()] = state
    _walk(graph.get_operations(), inner)
    _drop_the_rest(inner, graph.outputs)
    screen.suspects += [Suspect(suspect.op, caller, suspect.mixing) for suspect in inner.suspects]
    return [inner.state(tensor) for tensor in graph.outputs]


def _around(op: Any, given: list[AxisState], screen: Screen) -> list[AxisState]:
    """A loop's variables: again and again, until none of them changes any more."""
    body, current = called_graph(op, "body"), list(given)
    while True:
        trial = Screen()
        after = _joined([current, _through(body, current, trial, op)])
        if after == current or trial.suspects:
            screen.suspects += trial.suspects
            return after
        current = after


def _joined(ways: Sequence[Sequence[AxisState]]) -> list[AxisState]:
    """What comes by one of several ways."""
    return [
        agreed([s for s in states if s is not None]) if any(s is not None for s in states) else None
        for states in zip(*ways, strict=True)
    ]
