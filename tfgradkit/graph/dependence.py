"""The ops that a function added to a graph, and which of them lead derivatives from its arguments to its results."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Literal, Self

import tensorflow as tf

from .interpret import Abstract, in_order
from .ops import INTENDED_ENDS, LOOPS, called_graphs, carries, handed_over, has_own_gradient

# What is said of a tensor that depends on what is followed.
Depends = Literal[True]


def between(operations: Sequence[Any], xs: Sequence[Any], ys: Iterable[Any]) -> list[Any]:
    """Those of ``operations`` that lead derivatives from xs to ys, and those in the functions they call.

    Integers, truth values and text carry no derivative on; resources and variants may. Inside a
    ``tf.custom_gradient`` it is the user's rule that leads them.
    """
    tensors = [x.handle if isinstance(x, tf.Variable) else x for x in xs]
    ways = _Ways({x.ref(): True for x in tensors if isinstance(x, tf.Tensor)})
    ways.run(operations, [y for y in ys if y is not None])
    return ways.found


def reached(operations: Sequence[Any], tensors: Sequence[Any]) -> list[Any]:
    """Those of ``operations`` that depend on ``tensors`` smoothly, and those in the functions they call."""
    return between(operations, tensors, [tensor for operation in operations for tensor in operation.outputs])


class _Ways(Abstract[Depends]):
    """The ops on the ways, as a tape records them: to it, each result of an op depends on each of its inputs."""

    def __init__(self, values: dict[Any, Depends | None]) -> None:
        super().__init__(values)
        self.found: list[Any] = []

    def order(self, operations: list[Any], outputs: Sequence[Any]) -> Iterable[Any]:
        """From those that ``outputs`` have a derivative by."""
        return leading(in_order(operations), outputs, carries)

    def results(self, operation: Any, inputs: list[Depends | None]) -> Sequence[Depends | None]:
        """Notes an op, and the ways in the functions that it calls."""
        depends: list[Depends | None] = [True if carries(tensor.dtype) else None for tensor in operation.outputs]
        if any(depends):
            self.found.append(operation)
            for graph in called_graphs(operation):
                inner = self.enter(operation, graph, _arguments(operation, graph, inputs))
                inner.run(graph.get_operations(), graph.outputs)
                self.found += inner.found
        return depends

    def enter(self, caller: Any, graph: Any, inputs: Sequence[Depends | None]) -> Self:
        """With findings of its own."""
        inner = super().enter(caller, graph, inputs)
        inner.found = []
        return inner


def _arguments(operation: Any, graph: Any, inputs: list[Depends | None]) -> list[Depends | None]:
    """What a function's arguments depend on; what one variable of a loop does, others may in a later turn."""
    if operation.type in LOOPS:
        return [True if carries(tensor.dtype) else None for tensor in graph.inputs]
    given = handed_over(operation, inputs)[: len(graph.inputs)]
    return [*given, *[None] * (len(graph.inputs) - len(given))]


def leading(operations: Sequence[Any], outputs: Iterable[Any], matters: Callable[[tf.DType], bool]) -> list[Any]:
    """Those of ``operations`` that ``outputs`` come from, but for what ends a derivative by intent, in their order.

    ``matters`` says which results of an op do, by their dtypes.
    """
    needed, found = {tensor.ref() for tensor in outputs}, []
    for operation in reversed(operations):
        wanted = any(tensor.ref() in needed and matters(tensor.dtype) for tensor in operation.outputs)
        if wanted and operation.type not in INTENDED_ENDS:
            found.append(operation)
            needed.update(tensor.ref() for tensor in _leading_inputs(operation, needed))
    return found[::-1]


def _leading_inputs(operation: Any, needed: Container[Any]) -> list[Any]:
    """The inputs to which a gradient of what is ``needed`` goes.

    A custom gradient passes its results by, to its arguments.
    """
    if operation.type != "IdentityN" or not has_own_gradient(operation):
        return list(operation.inputs)
    pairs = zip(operation.inputs, operation.outputs, strict=True)
    return [before for before, after in pairs if after.ref() not in needed]


def sample_bytes(operations: Iterable[Any]) -> int:
    """Bytes of all results of ``operations`` for one sample: axes of unknown size count as 1."""
    return sum(_bytes(tensor) for operation in operations for tensor in operation.outputs)


def _bytes(tensor: Any) -> int:
    if tensor.shape.rank is None or not tensor.dtype.size:
        return 0
    count = tensor.dtype.size
    for axis in tensor.shape.as_list():
        count *= axis or 1
    return count
