"""Running a graph op by op, into the functions that it calls, with the values of every op at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SourceError
from .emit import executed
from .interpret import Concrete, needed
from .ops import OLD_BRANCHES, OLD_LOOPS, assigns

# They end a run where a number isn't finite, which is what is looked for.
_GUARDS = frozenset({"CheckNumerics", "CheckNumericsV2"})


@dataclass(frozen=True)
class RecordedValue:
    """A tensor's value, and what a watcher remembers of it."""

    value: Any
    note: Any = None


@dataclass(frozen=True)
class RunStep:
    """An op that has run.

    Attributes:
        operation: itself, in its graph.
        callers: the ops that call its function, outermost first.
        inputs: what it took.
        results: its values.
        turns: of the loops that it is in, the number of the turn, from 1 on, outermost first.
    """

    operation: Any
    callers: tuple[Any, ...]
    inputs: tuple[RecordedValue, ...]
    results: tuple[Any, ...]
    turns: tuple[int, ...] = ()


# From a step to a note for each of its results.
Watcher = Callable[[RunStep], Sequence[Any]]


class Runner(Concrete[RecordedValue]):
    """Runs a graph eagerly. Loops and branches are walked through; what a function assigns is assigned.

    Args:
        values: of all arguments of the graph, captured ones included, by ``ref()``.
        watch: is asked for notes, which travel with the values.
        instead: other ways to run ops of some types.

    Raises (when it runs):
        SourceError: the graph has loops of TensorFlow 1.
    """

    def __init__(
        self, values: dict[Any, RecordedValue], watch: Watcher, instead: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        super().__init__(values)
        self._watch = watch
        self._instead = instead or {}
        self._uses: Counter[Any] = Counter()

    def order(self, operations: list[Any], outputs: Sequence[Any]) -> Iterable[Any]:
        """The ops that ``outputs`` come from, and those that assign variables."""
        if any(operation.type in OLD_BRANCHES for operation in operations):
            self.old_loops(operations, outputs)
        wanted = {tensor.op for tensor in outputs}
        found = needed(operations, lambda operation: operation in wanted or assigns([operation]))
        self._uses = Counter(t.ref() for op in found for t in op.inputs) + Counter(t.ref() for t in outputs)
        return found

    def old_loops(self, operations: list[Any], outputs: Sequence[Any]) -> None:
        """They are refused."""
        old = next(operation for operation in operations if operation.type in OLD_LOOPS | OLD_BRANCHES)
        raise SourceError("loops of TensorFlow 1 can't be looked into", subject=f"op {old.type}, {old.name}")

    def op(self, operation: Any, inputs: list[RecordedValue]) -> Sequence[RecordedValue]:
        """Runs an op, and asks for notes."""
        if operation.type in _GUARDS:
            return inputs[:1]
        values, rule = [cell.value for cell in inputs], self._instead.get(operation.type)
        results = (rule(*values),) if rule else tuple(executed(operation, values))
        notes = self._watch(RunStep(operation, self.callers, tuple(inputs), results, self.turns))
        return [RecordedValue(value, note) for value, note in zip(results, notes, strict=True)]

    def number(self, value: RecordedValue) -> Any:
        """What a branch or loop decides by."""
        return value.value.numpy()

    def passed(self, operation: Any) -> None:
        """A value is kept no longer than it is needed."""
        for tensor in operation.inputs:
            self._uses[tensor.ref()] -= 1
        for tensor in (*operation.inputs, *operation.outputs):
            if self._uses[tensor.ref()] <= 0:
                self.values.pop(tensor.ref(), None)
