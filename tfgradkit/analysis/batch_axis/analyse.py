"""Whether a graph keeps the samples of a batch apart: its ops, one by one, by the rules of :mod:`op_rules`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...graph.interpret import Abstract
from . import shape_rules as _rules  # noqa: F401  registers its rules
from .op_rules import RULES, AxisState, MixingError, Rows, UnknownError, agreed


@dataclass(frozen=True)
class Suspect:
    """An op that may mix samples.

    Attributes:
        op: the op, perhaps in a function that the graph calls.
        at: the op of the graph itself: ``op``, or the call of its function.
        mixing: whether the op is known to mix samples; otherwise there is no rule for it.
    """

    op: Any
    at: Any
    mixing: bool


class Screen(Abstract[Rows]):
    """What the ops of a graph do with the samples of a batch. A tensor without a value doesn't depend on them.

    Attributes:
        suspects: the ops that mix samples, or may do so.
    """

    # Samples go where the values go, whatever the gradient is; and to ask every op for it takes time.
    replaced = None

    def __init__(self, xs: Iterable[Any]) -> None:
        super().__init__()
        self.suspects: list[Suspect] = []
        for x in xs:
            self.values[x.ref()] = Rows(0)

    @property
    def suspect(self) -> Any:
        """The op to name, should the samples turn out to be mixed."""
        return min(self.suspects, key=_is_unsure).op if self.suspects else None

    @property
    def mixes(self) -> bool:
        """Whether one of them is known to mix samples."""
        return any(suspect.mixing for suspect in self.suspects)

    def run(self, operations: Iterable[Any], outputs: Sequence[Any] = ()) -> list[AxisState]:
        """Where the samples of ``outputs`` lie; suspects that don't lead to ``outputs`` are dropped."""
        states = super().run(operations, outputs)
        self._drop_other_suspects(outputs)
        return states

    def _drop_other_suspects(self, outputs: Sequence[Any]) -> None:
        """An op that doesn't lead to ``outputs``, such as one in a loop's condition, is not in their derivative."""
        if not self.suspects:
            return
        reaching, waiting = set(), [y.op for y in outputs]
        while waiting:
            op = waiting.pop()
            if op not in reaching:
                reaching.add(op)
                waiting += [tensor.op for tensor in op.inputs if tensor.ref() in self.values]
        self.suspects = [suspect for suspect in self.suspects if suspect.at in reaching]

    def put(self, tensor: Any, value: AxisState) -> None:
        """Keeps a state, if the tensor can have a derivative."""
        if _differentiable(tensor):
            super().put(tensor, value)

    def results(self, operation: Any, inputs: list[AxisState]) -> Sequence[AxisState]:
        """By the rules; an op that they refuse becomes a suspect."""
        if not any(map(_differentiable, operation.outputs)):
            return [None] * len(operation.outputs)
        mixing = False
        try:
            return super().results(operation, inputs)
        except MixingError:
            mixing = True
        except (UnknownError, IndexError, ValueError):
            pass
        self.suspects.append(Suspect(operation, operation, mixing))
        # Go on as if the op kept the samples apart, to find the suspects behind it.
        return [Rows(0)] * len(operation.outputs)

    def op(self, operation: Any, inputs: list[AxisState]) -> Sequence[AxisState]:
        """By the rule for its type."""
        if operation.type not in RULES:
            raise UnknownError
        return RULES[operation.type](operation, inputs)

    def either(self, first: Rows, second: Rows) -> Rows:
        """The samples have to lie on the same axis in both."""
        state: Rows = agreed([first, second])
        return state

    def settled(self, inner: Screen, before: Sequence[AxisState], after: Sequence[AxisState]) -> bool:
        """Another turn is of no use after a suspect, either."""
        return bool(inner.suspects) or super().settled(inner, before, after)

    def enter(self, caller: Any, graph: Any, inputs: Sequence[AxisState]) -> Screen:
        """The interpreter for a called function, with suspects of its own."""
        inner = super().enter(caller, graph, inputs)
        inner.suspects = []
        return inner

    def leave(self, inner: Screen, caller: Any, graph: Any) -> None:
        """Takes over the function's suspects, at the op that calls it."""
        self.suspects += [Suspect(suspect.op, caller, suspect.mixing) for suspect in inner.suspects]


def _is_unsure(suspect: Suspect) -> bool:
    return not suspect.mixing


def screened(operations: Iterable[Any], xs: Sequence[Any], ys: Sequence[Any]) -> Screen:
    """The :class:`Screen` of ``operations`` on the way from ``xs``, on whose first axes the samples lie, to ``ys``."""
    screen = Screen(xs)
    screen.run(operations, ys)
    return screen


def _differentiable(tensor: Any) -> bool:
    """Indices and conditions carry no derivative; lists of tensors are variants."""
    return bool(tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype == tf.variant)
