"""Running a graph op by op, into the functions that it calls, with the values of every op at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...derivatives.taylor.jet import NoRuleError, emit
from ...errors import SourceError
from ...graph.dependence import LOOPS, called_graph, called_graphs

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_TWO_BRANCHES = frozenset({"If", "StatelessIf"})
_BRANCHES = frozenset({"Case", "StatelessCase"})
_OLD_CONTROL = frozenset({"Enter", "Exit", "Merge", "NextIteration", "RefEnter"})
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


class Runner:
    """Runs graphs eagerly. Loops and branches are walked through; what a function assigns is assigned.

    ``watch`` is asked for notes, which travel with the values. ``instead`` has other ways to run ops of some types.
    """

    def __init__(self, watch: Watcher, instead: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self._watch = watch
        self._instead = instead or {}
        self._turns: list[int] = []

    def run(
        self, graph: Any, inputs: Sequence[RecordedValue], outputs: Sequence[Any], callers: tuple[Any, ...] = ()
    ) -> list[RecordedValue]:
        """The ``outputs`` of ``graph``, whose ``inputs`` are all its arguments, captured ones included.

        Raises:
            SourceError: the graph has loops of TensorFlow 1.
        """
        cells = {inner.ref(): cell for inner, cell in zip(graph.inputs, inputs, strict=True)}
        operations = _needed(graph, outputs)
        uses = Counter(t.ref() for op in operations for t in op.inputs) + Counter(t.ref() for t in outputs)
        for operation in operations:
            given = tuple(cells[t.ref()] for t in operation.inputs)
            if operation.type not in ("Placeholder", "_Arg") or operation.outputs[0].ref() not in cells:
                results = self._results(operation, given, callers)
                pairs = zip(operation.outputs, results, strict=True)
                cells |= {t.ref(): cell for t, cell in pairs if t.ref() in uses}
            for tensor in operation.inputs:  # a value is kept no longer than it is needed
                uses[tensor.ref()] -= 1
                if not uses[tensor.ref()]:
                    cells.pop(tensor.ref(), None)
        return [cells[t.ref()] for t in outputs]

    def _results(
        self, operation: Any, given: tuple[RecordedValue, ...], callers: tuple[Any, ...]
    ) -> Sequence[RecordedValue]:
        inside = (*callers, operation)
        if operation.type in _CALLS:
            graph = _only(called_graphs(operation))
            if graph is not None:
                return self.run(graph, given, graph.outputs, inside)
        if operation.type in _TWO_BRANCHES:
            taken = bool(given[0].value) if given[0].value.shape.rank == 0 else bool(tf.size(given[0].value))
            graph = called_graph(operation, "then_branch" if taken else "else_branch")
            return self.run(graph, given[1:], graph.outputs, inside)
        if operation.type in _BRANCHES:
            last = len(operation.node_def.attr["branches"].list.func) - 1
            index = int(given[0].value)
            graph = called_graph(operation, "branches", index if 0 <= index <= last else last)
            return self.run(graph, given[1:], graph.outputs, inside)
        if operation.type in LOOPS:
            return self._loop(operation, given, inside)
        if operation.type in _GUARDS:
            return given[:1]
        values, rule = [cell.value for cell in given], self._instead.get(operation.type)
        results = (rule(*values),) if rule else tuple(_executed(operation, values))
        notes = self._watch(RunStep(operation, callers, given, results, tuple(self._turns)))
        return [RecordedValue(value, note) for value, note in zip(results, notes, strict=True)]

    def _loop(self, operation: Any, given: Sequence[RecordedValue], inside: tuple[Any, ...]) -> Sequence[RecordedValue]:
        condition, body = called_graph(operation, "cond"), called_graph(operation, "body")
        cells = list(given)
        self._turns.append(1)
        while bool(self.run(condition, cells, condition.outputs, inside)[0].value):
            cells = self.run(body, cells, body.outputs, inside)
            self._turns[-1] += 1
        self._turns.pop()
        return cells


def _only(graphs: list[Any]) -> Any | None:
    return graphs[0] if len(graphs) == 1 else None


def _needed(graph: Any, outputs: Sequence[Any]) -> list[Any]:
    """The ops that ``outputs`` come from, and those that assign variables, in an order in which they can run."""
    operations = graph.get_operations()
    old = next((op for op in operations if op.type in _OLD_CONTROL), None)
    if old is not None:
        raise SourceError("loops of TensorFlow 1 can't be looked into", subject=f"op {old.type}, {old.name}")
    wanted = {t.op for t in outputs} | {op for op in operations if _assigns(op)}
    found: dict[Any, None] = {}
    for operation in operations:
        if operation in wanted:
            _after_its_inputs(operation, found)
    return list(found)


def _after_its_inputs(operation: Any, found: dict[Any, None]) -> None:
    """Loops get inputs after they were made, when they are differentiated: the graph's order won't do."""
    waiting = [operation]
    while waiting:
        missing = [t.op for t in waiting[-1].inputs if t.op not in found]
        if missing:
            waiting += missing
        else:
            found[waiting.pop()] = None


def _assigns(operation: Any) -> bool:
    return operation.type.startswith("Assign") or any(
        _assigns(inner) for graph in called_graphs(operation) for inner in graph.get_operations()
    )


def _executed(operation: Any, values: list[Any]) -> list[Any]:
    try:
        return emit(operation, values)
    except NoRuleError:
        return _imported(operation, values)


def _imported(operation: Any, values: list[Any]) -> list[Any]:
    """For ops that Python has no function for: a graph with this op alone."""

    def alone(*given: Any) -> list[Any]:
        definition = tf.compat.v1.GraphDef()
        node = definition.node.add()
        node.CopyFrom(operation.node_def)
        node.name, node.input[:] = "alone", [f"given_{i}:0" for i in range(len(given))]
        definition.library.CopyFrom(operation.graph.as_graph_def().library)
        for i, tensor in enumerate(given):
            place = definition.node.add(name=f"given_{i}", op="Placeholder")
            place.attr["dtype"].type = tensor.dtype.as_datatype_enum
        names = {f"given_{i}:0": tensor for i, tensor in enumerate(given)}
        wanted = [f"alone:{i}" for i in range(len(operation.outputs))]
        return list(tf.graph_util.import_graph_def(definition, input_map=names, return_elements=wanted, name=""))

    specs = [tf.TensorSpec(v.shape, v.dtype) for v in values]
    return list(tf.compat.v1.wrap_function(alone, specs)(*values)) if operation.outputs else []
