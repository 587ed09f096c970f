"""What the tensors of a graph may depend on: each op's rule says it of the op's results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...graph.emit import inlined
from ...graph.fold import KnownValues
from ...graph.interpret import Abstract
from ...graph.ops import LOOPS, added, handed_over
from .index_sets import EMPTY, IndexSets

# What an op's rule gives: the sets of each result; None where it depends on nothing.
Dependence = Sequence["np.ndarray | None"]
PatternRule = Callable[["Flow", Any], Dependence]

RULES: dict[str, PatternRule] = {}
# In place of an op type, for gradients that users put in place of TensorFlow's.
CUSTOM_GRADIENT = "custom gradient"


class UnknownSets(Exception):  # noqa: N818  a signal between a rule and the walk, never seen by a caller
    """A rule needs what only the run knows; the conservative answer is to be given."""


def rule(*op_types: str) -> Callable[[PatternRule], PatternRule]:
    """Registers the rule of ops."""

    def register(function: PatternRule) -> PatternRule:
        RULES.update(dict.fromkeys(op_types, function))
        return function

    return register


class Flow(Abstract[np.ndarray]):
    """What the tensors of a graph may depend on.

    The sets of a tensor are an array of its shape with numbers of ``sets``; where the shape is not
    known, or the tensor is a list of tensors, a single number that holds for all of it.
    """

    # A loop that moves elements along needs as many turns as they are many: then all of it is dense.
    turns = 8

    def __init__(self, sets: IndexSets, constants: KnownValues) -> None:
        super().__init__()
        self.sets = sets
        self.constants = constants

    def put(self, tensor: Any, value: np.ndarray | None) -> None:
        """Says what ``tensor`` depends on."""
        if value is not None and _carries(tensor) and np.any(value):
            super().put(tensor, np.asarray(value))

    def depends(self, tensor: Any) -> bool:
        """Whether ``tensor`` depends on anything."""
        return tensor.ref() in self.values

    def numbers(self, tensor: Any) -> np.ndarray:
        """The sets of every element.

        Raises:
            Unknown: the shape is not known.
        """
        shape = static_shape(tensor)
        found = self.value(tensor)
        if shape is None:
            raise UnknownSets
        return np.full(shape, EMPTY) if found is None else np.broadcast_to(found, shape)

    def constant(self, tensor: Any) -> np.ndarray:
        """The value of a tensor that depends on no input and no variable.

        Raises:
            Unknown: only the run knows it.
        """
        known = None if self.depends(tensor) else self.constants.value(tensor)
        if known is None:
            raise UnknownSets
        return known

    def everything(self, tensors: Iterable[Any]) -> np.ndarray:
        """One set: whatever any element of ``tensors`` depends on."""
        found = [np.unique(numbers) for t in tensors if (numbers := self.value(t)) is not None]
        return self.sets.union(np.concatenate([[EMPTY], *found])[None])[0]

    def either(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The union of what two ways to one tensor say."""
        if first.shape != second.shape:
            both = np.concatenate([[EMPTY], np.unique(first), np.unique(second)])
            return self.sets.union(both[None])[0]
        return self.sets.union(np.stack([first, second], -1))

    def settled(self, inner: Flow, before: Sequence[np.ndarray | None], after: Sequence[np.ndarray | None]) -> bool:
        """Whether all sets are the same."""
        pairs = zip(before, after, strict=True)
        return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)

    def visits(self, operation: Any, inputs: list[np.ndarray | None]) -> bool:
        """Derivatives may go through it."""
        return any(map(_carries, operation.outputs)) and super().visits(operation, inputs)

    def results(self, operation: Any, inputs: list[np.ndarray | None]) -> Dependence:
        """What the rules say; where they can't, the conservative answer."""
        try:
            return super().results(operation, inputs)
        except (UnknownSets, ValueError, IndexError):
            # The last two: shapes that a rule was not written for.
            return dense(self, operation)

    def op(self, operation: Any, inputs: list[np.ndarray | None]) -> Dependence:
        """By the rule for its type."""
        return RULES.get(operation.type, dense)(self, operation)

    def custom_gradient(self, operation: Any, inputs: list[np.ndarray | None]) -> Dependence:
        """What the gradient says that was put in place of TensorFlow's."""
        return RULES[CUSTOM_GRADIENT](self, operation)

    def call(self, operation: Any, graph: Any, inputs: list[np.ndarray | None]) -> Dependence:
        """A function that was traced for any batch is written out, for the shapes it is called with."""
        if all(static_shape(inner) is not None for inner in graph.inputs):
            return super().call(operation, graph, inputs)
        with operation.graph.as_default():
            results, written = added(lambda given: inlined(graph, given), list(operation.inputs))
        return self.run(written, results[: len(operation.outputs)])

    def enter(self, caller: Any, graph: Any, inputs: Sequence[np.ndarray | None]) -> Flow:
        """With constants of its own: the next call of the same function may be with others."""
        inner = super().enter(caller, graph, inputs)
        inner.constants = KnownValues()
        # The variables of a loop change from turn to turn; what a function is called with does not.
        given = () if caller.type in LOOPS else handed_over(caller, list(caller.inputs))
        for argument, tensor in zip(graph.inputs, given, strict=False):
            if not self.depends(tensor):
                inner.constants.put(argument, self.constants.value(tensor))
        return inner

    def old_loops(self, operations: list[Any], outputs: Sequence[Any]) -> None:
        """Everything depends on everything: loops of TensorFlow 1 lead back in the list of ops."""
        found = [np.unique(numbers) for numbers in self.values.values() if numbers is not None]
        total = self.sets.union(np.concatenate([[EMPTY], *found])[None])[0]
        for operation in operations:
            for tensor in operation.outputs:
                self.put(tensor, np.full(static_shape(tensor) or (), total))


def dense(flow: Flow, operation: Any) -> Dependence:
    """The conservative rule: every result depends on all that any input depends on."""
    total = flow.everything(operation.inputs)
    return [np.full(static_shape(t) or (), total) for t in operation.outputs]


def static_shape(tensor: Any) -> tuple[int, ...] | None:
    """The shape, where all of it is known."""
    return tuple(tensor.shape.as_list()) if tensor.shape.is_fully_defined() else None


def _carries(tensor: Any) -> bool:
    """Derivatives go through numbers, and through lists of tensors."""
    return tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype.name == "variant"
