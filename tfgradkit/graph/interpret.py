"""The interpreter of graphs: one walk for every analysis of their ops, every run of them and every rewriting.

A domain is a subclass of :class:`Interpreter`: it says what an op makes of the values of its inputs. The walk does
the rest: functions that ops call, with the outputs that TensorFlow adds to a function once its gradient was taken;
branches and loops; the order in which ops can run; and the chain of calls down to the op at hand.
An interpreter walks one graph, and makes another one like itself for each function that an op calls.

:class:`Abstract` follows all branches, and loops until nothing changes (P. and R. Cousot, "Abstract interpretation",
POPL 1977). :class:`Concrete` follows the one branch that is taken, and loops as often as the condition says.
"""

from __future__ import annotations

import copy
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Generic, Self, TypeVar

import tensorflow as tf

from .ops import BRANCHES, CALLERS, LOOPS, OLD_LOOPS, functions_of, has_own_gradient

V = TypeVar("V")
_type = attrgetter("type")


class Interpreter(Generic[V]):
    """The values that a domain gives to the tensors of one graph.

    A domain defines :meth:`op`, and overrides others of the methods up to :meth:`leave`; the walk begins with
    :meth:`run`. Branches and loops are plain ops to a domain that doesn't say otherwise.

    Attributes:
        values: by ``tensor.ref()``; at first those of the graph's arguments.
        callers: the chain of calls down to this graph, outermost first.
    """

    def __init__(self, values: dict[Any, V] | None = None, callers: tuple[Any, ...] = ()) -> None:
        self.values = {} if values is None else values
        self.callers = callers

    def op(self, operation: Any, inputs: list[V]) -> Sequence[V]:
        """The values of an op's results."""
        raise NotImplementedError

    def custom_gradient(self, operation: Any, inputs: list[V]) -> Sequence[V]:
        """As :meth:`op`, for an op whose gradient a user replaced."""
        return self.op(operation, inputs)

    def opaque(self, operation: Any, inputs: list[V]) -> Sequence[V]:
        """As :meth:`op`, for an op that calls a function whose graph TensorFlow doesn't have."""
        return self.op(operation, inputs)

    def call(self, operation: Any, graph: Any, inputs: list[V]) -> Sequence[V]:
        """As :meth:`op`, for an op that calls a function."""
        return self.through(operation, graph, inputs)

    def branch(self, operation: Any, graphs: list[Any], inputs: list[V]) -> Sequence[V]:
        """As :meth:`op`, for an op that chooses among functions."""
        return self.op(operation, inputs)

    def loop(self, operation: Any, condition: Any, body: Any, inputs: list[V]) -> Sequence[V]:
        """As :meth:`op`, for a loop."""
        return self.op(operation, inputs)

    def old_loops(self, operations: list[Any], outputs: Sequence[Any]) -> None:
        """Walks a graph with loops of TensorFlow 1, whose ops take results of later ops."""
        self.walk(self.order(operations, outputs))

    def outside(self, tensor: Any) -> V:
        """The value of a tensor that is no argument, and no result of an op on the walk."""
        raise KeyError(tensor)

    def put(self, tensor: Any, value: V) -> None:
        """Keeps a value."""
        self.values[tensor.ref()] = value

    def visits(self, operation: Any, inputs: list[V]) -> bool:
        """Whether :meth:`results` is asked about an op; arguments have their values already."""
        return not operation.outputs or any(tensor.ref() not in self.values for tensor in operation.outputs)

    def order(self, operations: list[Any], outputs: Sequence[Any]) -> Iterable[Any]:
        """The ``operations`` of a graph that matter for its ``outputs``, in an order in which they can run."""
        return in_order(operations)

    def contents(self, graph: Any) -> Iterable[Any]:
        """The ops of a function's graph."""
        return graph.get_operations()

    def functions(self, operation: Any) -> list[Any]:
        """The graphs of the functions of a call, a branch or a loop."""
        # Asked of every op.
        return functions_of(operation) if operation.type in CALLERS else []

    # Whether a user replaced an op's gradient; None where that is all the same to a domain.
    replaced: Callable[[Any], bool] | None = staticmethod(has_own_gradient)

    def enter(self, caller: Any, graph: Any, inputs: Sequence[Any]) -> Self:
        """The interpreter for a function's graph, which is called with ``inputs``."""
        inner = copy.copy(self)
        inner.values, inner.callers = {}, (*self.callers, caller)
        for tensor, value in zip(graph.inputs, inputs, strict=True):
            inner.put(tensor, value)
        return inner

    # What is done after an op, such as dropping values that no other op takes.
    passed: Callable[[Any], None] | None = None

    def leave(self, inner: Self, caller: Any, graph: Any) -> None:
        """Called after a function, and after the last turn of a loop: a domain may take more than the results."""

    def run(self, operations: Iterable[Any], outputs: Sequence[Any] = ()) -> list[V]:
        """The values of ``outputs``, after the ``operations`` of a graph."""
        operations = list(operations)
        if OLD_LOOPS.isdisjoint(map(_type, operations)):
            self.walk(self.order(operations, outputs))
        else:
            self.old_loops(operations, outputs)
        return list(map(self.value, outputs))

    def walk(self, operations: Iterable[Any]) -> None:
        """Goes through ``operations``, one after another."""
        for operation in operations:
            inputs = list(map(self.value, operation.inputs))
            if self.visits(operation, inputs):
                for tensor, value in zip(operation.outputs, self.results(operation, inputs), strict=True):
                    self.put(tensor, value)
            if self.passed is not None:
                self.passed(operation)

    def value(self, tensor: Any) -> V:
        """The value of a tensor."""
        key = tensor.ref()
        return self.values[key] if key in self.values else self.outside(tensor)

    def results(self, operation: Any, inputs: list[V]) -> Sequence[V]:
        """The values of an op's results, whatever kind of op it is."""
        graphs = self.functions(operation)
        if not graphs:
            custom = self.replaced is not None and self.replaced(operation)
            return (self.custom_gradient if custom else self.op)(operation, inputs)
        if None in graphs:
            return self.opaque(operation, inputs)
        if operation.type in LOOPS:
            return self.loop(operation, graphs[0], graphs[1], inputs)
        if operation.type in BRANCHES:
            return self.branch(operation, graphs, inputs)
        return self.call(operation, graphs[0], inputs)

    def through(self, caller: Any, graph: Any, inputs: Sequence[V]) -> list[V]:
        """The results of a function that is called with ``inputs``."""
        inner = self.enter(caller, graph, inputs)
        found = inner.run(self.contents(graph), own_outputs(caller, graph))
        self.leave(inner, caller, graph)
        return found


class Abstract(Interpreter[V | None]):
    """Values that hold for every run. A domain defines :meth:`either` beside :meth:`op`.

    None is the value of a tensor of which nothing is known, such as one that depends on no argument that is followed.
    An op whose inputs all have None is passed over: so have its results.
    """

    # The most turns of a loop that are followed; a loop that needs more counts as opaque.
    turns = sys.maxsize

    def either(self, first: V, second: V) -> V | None:
        """The value of a tensor that has one of two values, neither of them None."""
        raise NotImplementedError

    def settled(self, inner: Any, before: Sequence[V | None], after: Sequence[V | None]) -> bool:
        """Whether another turn of a loop would say nothing new."""
        return list(before) == list(after)

    def ended(self, after: list[V | None], made: list[V | None]) -> Sequence[V | None]:
        """The variables of a loop at its end: joined ``after`` any number of turns, or as ``made`` by a last one."""
        return after

    def outside(self, tensor: Any) -> V | None:
        """None: nothing is known of the tensor."""
        return None

    def put(self, tensor: Any, value: V | None) -> None:
        """Keeps a value that is not None."""
        if value is not None:
            self.values[tensor.ref()] = value

    def visits(self, operation: Any, inputs: list[V | None]) -> bool:
        """Whether an input has a value."""
        for value in inputs:  # noqa: SIM110  asked of every op: a generator takes three times as long
            if value is not None:
                return True
        return False

    def joined(self, ways: Iterable[Sequence[V | None]]) -> list[V | None]:
        """The values of results that come by any of several ``ways``, such as the branches of a condition."""
        found: list[V | None] | None = None
        for way in ways:
            found = list(way) if found is None else [self.join(*pair) for pair in zip(found, way, strict=True)]
        return found or []

    def join(self, first: V | None, second: V | None) -> V | None:
        """The value of a tensor that has one of two values, or depends on both."""
        if first is None or second is None:
            return second if first is None else first
        return self.either(first, second)

    def branch(self, operation: Any, graphs: list[Any], inputs: list[V | None]) -> Sequence[V | None]:
        """The results of all branches, joined."""
        return self.joined([self.through(operation, graph, inputs[1:]) for graph in graphs])

    def loop(self, operation: Any, condition: Any, body: Any, inputs: list[V | None]) -> Sequence[V | None]:
        """Turn after turn, until the variables, joined with those of the turns before, stay the same."""
        before = list(inputs)
        for _ in range(self.turns):
            inner = self.enter(operation, body, before)
            made = inner.run(self.contents(body), own_outputs(operation, body))
            after = self.joined([before, made])
            if self.settled(inner, before, after):
                self.leave(inner, operation, body)
                return self.ended(after, made)
            before = after
        return self.opaque(operation, inputs)


class Concrete(Interpreter[V]):
    """Values of one run. A domain defines :meth:`number` beside :meth:`op`.

    Attributes:
        turns: for each loop around the graph, outermost first, the number of its turn, from 1 on.
    """

    turns: tuple[int, ...] = ()

    def number(self, value: V) -> Any:
        """The value that a branch or loop decides by, as a NumPy array."""
        raise NotImplementedError

    def branch(self, operation: Any, graphs: list[Any], inputs: list[V]) -> Sequence[V]:
        """The results of the branch that is taken."""
        chosen = self.number(inputs[0])
        if operation.type.endswith("If"):
            position = 0 if (bool(chosen) if chosen.ndim == 0 else chosen.size) else 1
        else:
            position = int(chosen) if 0 <= chosen < len(graphs) else len(graphs) - 1
        return self.through(operation, graphs[position], inputs[1:])

    def loop(self, operation: Any, condition: Any, body: Any, inputs: list[V]) -> Sequence[V]:
        """The variables after the last turn."""
        outer = self.turns
        for turn in itertools.count(1):
            self.turns = (*outer, turn)
            if not self.number(self.through(operation, condition, inputs)[0]):
                break
            inputs = self.through(operation, body, inputs)
        self.turns = outer
        return inputs


def added(build: Callable[[Any], Any], xs: Any) -> tuple[Any, list[Any]]:
    """``build(xs)``, and the ops that it added to the graph of ``xs``."""
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    result = build(xs)
    return result, graph.get_operations()[before:]


def own_outputs(caller: Any, graph: Any) -> list[Any]:
    """The tensors of a function's graph that are the results of the op that calls it.

    Taking the gradient of one call appends outputs to the function, which its other calls don't have.
    """
    return list(graph.outputs[: len(caller.outputs)])


def in_order(operations: list[Any]) -> list[Any]:
    """``operations`` of a graph in an order in which they can run.

    It is the order of the graph, but for loops: differentiating a loop gives it inputs that were made later.
    """
    return operations if LOOPS.isdisjoint(map(_type, operations)) else needed(operations, lambda _: True)


def needed(
    operations: list[Any], wanted: Callable[[Any], bool], known: Callable[[Any], bool] = lambda _: False
) -> list[Any]:
    """The ``wanted`` ones of ``operations``, and the ops they come from, in an order in which they can run.

    Args:
        operations: ops of one graph.
        wanted: whether an op is wanted.
        known: whether the value of a tensor is known already, so that the op which makes it is not needed.
    """
    own, entered, found = set(operations), set[Any](), list[Any]()

    def missing(inputs: Iterator[Any]) -> Any:
        return next((t.op for t in inputs if t.op in own and t.op not in entered and not known(t)), None)

    for operation in filter(wanted, operations):
        waiting = [] if operation in entered else [(operation, iter(operation.inputs))]
        entered.add(operation)
        while waiting:
            before = missing(waiting[-1][1])
            if before is None:
                found.append(waiting.pop()[0])
            else:
                entered.add(before)
                waiting.append((before, iter(before.inputs)))
    return found
