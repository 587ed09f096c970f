"""The ops that a function added to a graph, and which of them lead derivatives from its arguments to its results."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Literal, Self

import tensorflow as tf

from .interpret import Abstract, in_order
from .ops import INTENDED_ENDS, LOOPS, called_graphs, carries, handed_over, has_own_gradient

# The value of a tensor that depends on xs; tensors that don't have None.
Depends = Literal[True]


def between(operations: Sequence[Any], xs: Sequence[Any], ys: Iterable[Any]) -> list[Any]:
    """The ops among ``operations``, and in the functions they call, through which derivatives go from xs to ys.

    Integers, bools and strings carry no derivative on; resources and variants may. The ops inside a
    ``tf.custom_gradient`` are left out: the user's rule leads derivatives past them.
    """
    tensors = [x.handle if isinstance(x, tf.Variable) else x for x in xs]
    paths = _Paths({x.ref(): True for x in tensors if isinstance(x, tf.Tensor)})
    paths.run(operations, [y for y in ys if y is not None])
    return paths.found


def reached(operations: Sequence[Any], tensors: Sequence[Any]) -> list[Any]:
    """The ops among ``operations``, and in the functions they call, that derivatives by ``tensors`` go through."""
    return between(operations, tensors, [tensor for operation in operations for tensor in operation.outputs])


class _Paths(Abstract[Depends]):
    """The ops on the paths from xs to ys.

    Dependence is that of a tape, to which each result of an op depends on each of its inputs.
    """

    def __init__(self, values: dict[Any, Depends | None]) -> None:
        super().__init__(values)
        self.found: list[Any] = []

    def order(self, operations: list[Any], outputs: Sequence[Any]) -> Iterable[Any]:
        """Only the ops that a gradient of ``outputs`` comes to."""
        return leading(in_order(operations), outputs, carries)

    def results(self, operation: Any, inputs: list[Depends | None]) -> Sequence[Depends | None]:
        """Notes an op, and the ops on the paths in the functions that it calls."""
        depends: list[Depends | None] = [True if carries(tensor.dtype) else None for tensor in operation.outputs]
        if any(depends):
            self.found.append(operation)
            for graph in called_graphs(operation):
                inner = self.enter(operation, graph, _arguments(operation, graph, inputs))
                inner.run(graph.get_operations(), graph.outputs)
                self.found += inner.found
        return depends

    def enter(self, caller: Any, graph: Any, inputs: Sequence[Depends | None]) -> Self:
        """The interpreter for a called function, with a list of ops of its own."""
        inner = super().enter(caller, graph, inputs)
        inner.found = []
        return inner


def _arguments(operation: Any, graph: Any, inputs: list[Depends | None]) -> list[Depends | None]:
    """Which arguments of a function depend on xs; of a loop all that can, since each may in a later turn."""
    if operation.type in LOOPS:
        return [True if carries(tensor.dtype) else None for tensor in graph.inputs]
    given = handed_over(operation, inputs)[: len(graph.inputs)]
    return [*given, *[None] * (len(graph.inputs) - len(given))]


def leading(operations: Sequence[Any], outputs: Iterable[Any], matters: Callable[[tf.DType], bool]) -> list[Any]:
    """The ops among ``operations``, in their order, that ``outputs`` come from.

    Ops that end a derivative by intent are left out, with the ops before them. ``matters`` says by its dtype whether a
    result of an op counts.
    """
    needed, found = {tensor.ref() for tensor in outputs}, []
    for operation in reversed(operations):
        wanted = any(tensor.ref() in needed and matters(tensor.dtype) for tensor in operation.outputs)
        if wanted and operation.type not in INTENDED_ENDS:
            found.append(operation)
            needed.update(tensor.ref() for tensor in _leading_inputs(operation, needed))
    return found[::-1]


def _leading_inputs(operation: Any, needed: Container[Any]) -> list[Any]:
    """The inputs of an op to which the gradient of the ``needed`` tensors goes.

    A ``tf.custom_gradient`` takes its results and its arguments, and its gradient goes to the arguments alone.
    """
    if operation.type != "IdentityN" or not has_own_gradient(operation):
        return list(operation.inputs)
    pairs = zip(operation.inputs, operation.outputs, strict=True)
    return [before for before, after in pairs if after.ref() not in needed]


def sample_bytes(operations: Iterable[Any]) -> int:
    """Bytes of the results of all ``operations`` for one sample: an axis of unknown size counts as 1."""
    return sum(_bytes(tensor) for operation in operations for tensor in operation.outputs)


def _bytes(tensor: Any) -> int:
    if tensor.shape.rank is None or not tensor.dtype.size:
        return 0
    count = tensor.dtype.size
    for axis in tensor.shape.as_list():
        count *= axis or 1
    return count
