"""On which elements of the inputs the tensors of a graph may depend: the walk, and the table of rules by op type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...graph.emit import inlined
from ...graph.fold import KnownValues
from ...graph.interpret import Abstract, added
from ...graph.ops import LOOPS, handed_over
from .index_sets import EMPTY, IndexSets

# The sets of each result of an op; None for a result that depends on nothing.
Dependence = Sequence["np.ndarray | None"]
PatternRule = Callable[["Flow", Any], Dependence]

RULES: dict[str, PatternRule] = {}
# Stands in the table for all ops whose gradient a user replaced.
CUSTOM_GRADIENT = "custom gradient"


class UnknownSets(Exception):  # noqa: N818  a signal between a rule and the walk, never seen by a caller
    """A rule needs a value that only a run knows: the walk takes the conservative answer."""


def rule(*op_types: str) -> Callable[[PatternRule], PatternRule]:
    """Registers the rule for types of ops."""

    def register(function: PatternRule) -> PatternRule:
        RULES.update(dict.fromkeys(op_types, function))
        return function

    return register


class Flow(Abstract[np.ndarray]):
    """On which elements of the inputs the tensors of a graph may depend.

    The sets of a tensor are an array of its shape with numbers of ``sets``; where the shape is not
    known, or the tensor is a list of tensors, a single number that holds for all of it.
    """

    # A loop that shifts elements takes as many turns as there are elements; after this many it counts as dense.
    turns = 8

    def __init__(self, sets: IndexSets, constants: KnownValues) -> None:
        super().__init__()
        self.sets = sets
        self.constants = constants

    def put(self, tensor: Any, value: np.ndarray | None) -> None:
        """Says what ``tensor`` depends on."""
        if value is not None and carries(tensor) and np.any(value):
            super().put(tensor, np.asarray(value))

    def depends(self, tensor: Any) -> bool:
        """Whether ``tensor`` depends on anything."""
        return tensor.ref() in self.values

    def numbers(self, tensor: Any) -> np.ndarray:
        """The sets of every element.

        Raises:
            UnknownSets: the shape is not known.
        """
        shape = static_shape(tensor)
        found = self.value(tensor)
        if shape is None:
            raise UnknownSets
        return np.full(shape, EMPTY) if found is None else np.broadcast_to(found, shape)

    def constant(self, tensor: Any) -> np.ndarray:
        """The value of a tensor that depends on no input and no variable.

        Raises:
            UnknownSets: only a run knows it.
        """
        known = None if self.depends(tensor) else self.constants.value(tensor)
        if known is None:
            raise UnknownSets
        return known

    def everything(self, tensors: Iterable[Any]) -> np.ndarray:
        """One set: the union over all elements of ``tensors``."""
        found = [np.unique(numbers) for t in tensors if (numbers := self.value(t)) is not None]
        return self.sets.union(np.concatenate([[EMPTY], *found])[None])[0]

    def either(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The union, element by element; of two different shapes a single one for all elements."""
        if first.shape != second.shape:
            both = np.concatenate([[EMPTY], np.unique(first), np.unique(second)])
            return self.sets.union(both[None])[0]
        return self.sets.union(np.stack([first, second], -1))

    def settled(self, inner: Flow, before: Sequence[np.ndarray | None], after: Sequence[np.ndarray | None]) -> bool:
        """Whether no set has changed."""
        pairs = zip(before, after, strict=True)
        return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)

    def visits(self, operation: Any, inputs: list[np.ndarray | None]) -> bool:
        """Whether a derivative may go through the op."""
        return any(map(carries, operation.outputs)) and super().visits(operation, inputs)

    def results(self, operation: Any, inputs: list[np.ndarray | None]) -> Dependence:
        """By the rules; the conservative answer where they have none."""
        try:
            return super().results(operation, inputs)
        except (UnknownSets, ValueError, IndexError):
            # ValueError, IndexError: shapes that a rule was not written for.
            return dense(self, operation)

    def op(self, operation: Any, inputs: list[np.ndarray | None]) -> Dependence:
        """By the rule for its type."""
        return RULES.get(operation.type, dense)(self, operation)

    def custom_gradient(self, operation: Any, inputs: list[np.ndarray | None]) -> Dependence:
        """By the gradient that a user put in place of TensorFlow's."""
        return RULES[CUSTOM_GRADIENT](self, operation)

    def call(self, operation: Any, graph: Any, inputs: list[np.ndarray | None]) -> Dependence:
        """A function that was traced for unknown sizes is written out, for the shapes that it is called with."""
        if all(static_shape(inner) is not None for inner in graph.inputs):
            return super().call(operation, graph, inputs)
        with operation.graph.as_default():
            results, written = added(lambda given: inlined(graph, given), list(operation.inputs))
        return self.run(written, results[: len(operation.outputs)])

    def enter(self, caller: Any, graph: Any, inputs: Sequence[np.ndarray | None]) -> Flow:
        """The interpreter for a called function, with constants of its own: the next call may have others."""
        inner = super().enter(caller, graph, inputs)
        inner.constants = KnownValues()
        # The variables of a loop change from turn to turn; the arguments of a call don't.
        given = () if caller.type in LOOPS else handed_over(caller, list(caller.inputs))
        for argument, tensor in zip(graph.inputs, given, strict=False):
            if not self.depends(tensor):
                inner.constants.put(argument, self.constants.value(tensor))
        return inner

    def old_loops(self, operations: list[Any], outputs: Sequence[Any]) -> None:
        """Everything depends on everything: the ops of TensorFlow 1's loops take results of later ops."""
        found = [np.unique(numbers) for numbers in self.values.values() if numbers is not None]
        total = self.sets.union(np.concatenate([[EMPTY], *found])[None])[0]
        for operation in operations:
            for tensor in operation.outputs:
                self.put(tensor, np.full(static_shape(tensor) or (), total))


def dense(flow: Flow, operation: Any) -> Dependence:
    """The conservative rule: each element of a result depends on all that any element of an input depends on."""
    total = flow.everything(operation.inputs)
    return [np.full(static_shape(t) or (), total) for t in operation.outputs]


def static_shape(tensor: Any) -> tuple[int, ...] | None:
    """The shape; None where a size isn't known."""
    return tuple(tensor.shape.as_list()) if tensor.shape.is_fully_defined() else None


def carries(tensor: Any) -> bool:
    """Derivatives go through floating and complex numbers, and through lists of tensors."""
    return tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype.name == "variant"
