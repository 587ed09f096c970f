"""The walk through a graph: each op's rule gives what its results may depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...graph.fold import KnownValues
from .index_sets import EMPTY, IndexSets

# What an op's rule gives: the sets of each result; None where it depends on nothing.
Dependence = Sequence["np.ndarray | None"]
PatternRule = Callable[["Flow", Any], Dependence]

RULES: dict[str, PatternRule] = {}
_LOOPS_OF_OLD = frozenset({"Enter", "RefEnter"})


class UnknownSets(Exception):  # noqa: N818  a signal between a rule and the walk, never seen by a caller
    """A rule needs what only the run knows; the conservative answer is to be given."""


def rule(*op_types: str) -> Callable[[PatternRule], PatternRule]:
    """Registers the rule of ops."""

    def register(function: PatternRule) -> PatternRule:
        RULES.update(dict.fromkeys(op_types, function))
        return function

    return register


class Flow:
    """What the tensors of a graph may depend on.

    The sets of a tensor are an array of its shape with numbers of ``sets``; where the shape is not
    known, or the tensor is a list of tensors, a single number that holds for all of it.
    """

    def __init__(self, sets: IndexSets, constants: KnownValues) -> None:
        self.sets = sets
        self.constants = constants
        self._found: dict[Any, np.ndarray] = {}

    def put(self, tensor: Any, numbers: np.ndarray | None) -> None:
        """Says what ``tensor`` depends on."""
        if numbers is not None and _carries(tensor) and np.any(numbers):
            self._found[tensor.ref()] = np.asarray(numbers)

    def depends(self, tensor: Any) -> bool:
        """Whether ``tensor`` depends on anything."""
        return tensor.ref() in self._found

    def raw(self, tensor: Any) -> np.ndarray | None:
        """As it was put; None where it depends on nothing."""
        return self._found.get(tensor.ref())

    def numbers(self, tensor: Any) -> np.ndarray:
        """The sets of every element.

        Raises:
            Unknown: the shape is not known.
        """
        shape = static_shape(tensor)
        found = self.raw(tensor)
        if shape is None:
            raise UnknownSets
        return np.full(shape, EMPTY) if found is None else np.broadcast_to(found, shape)

    def value(self, tensor: Any) -> np.ndarray:
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
        found = [np.unique(self._found[t.ref()]) for t in tensors if self.depends(t)]
        return self.sets.union(np.concatenate([[EMPTY], *found])[None])[0]

    def either(self, first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
        """The union of what two ways to one tensor say."""
        if first is None or second is None:
            return second if first is None else first
        if first.shape != second.shape:
            both = np.concatenate([[EMPTY], np.unique(first), np.unique(second)])
            return self.sets.union(both[None])[0]
        return self.sets.union(np.stack([first, second], -1))

    def walk(self, operations: Iterable[Any]) -> None:
        """Follows ``operations``, which come in the order in which they can run."""
        operations = list(operations)
        if any(operation.type in _LOOPS_OF_OLD for operation in operations):
            self._flood(operations)
            return
        for operation in operations:
            if any(map(_carries, operation.outputs)) and any(map(self.depends, operation.inputs)):
                for tensor, numbers in zip(operation.outputs, self._results(operation), strict=True):
                    self.put(tensor, numbers)

    def _flood(self, operations: Iterable[Any]) -> None:
        """Everything depends on everything: loops of TensorFlow 1 lead back in the list of ops."""
        found = [np.unique(numbers) for numbers in self._found.values()]
        total = self.sets.union(np.concatenate([[EMPTY], *found])[None])[0]
        for operation in operations:
            for tensor in operation.outputs:
                self.put(tensor, np.full(static_shape(tensor) or (), total))

    def _results(self, operation: Any) -> Dependence:
        # An op whose gradient is replaced depends on what that gradient says.
        replaced = "_gradient_op_type" in operation.node_def.attr and "f" not in operation.node_def.attr
        found = RULES["custom gradient"] if replaced else RULES.get(operation.type, dense)
        try:
            return found(self, operation)
        except (UnknownSets, ValueError, IndexError):
            # The last two: shapes that a rule was not written for.
            return dense(self, operation)


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
