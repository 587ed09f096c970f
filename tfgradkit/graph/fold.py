"""Values of a graph that no run can change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .emit import computed
from .ops import calls_functions

# Elements. A larger tensor is no shape or list of indices, or takes too long to compute.
_MOST = 1 << 24


class KnownValues:
    """Values of tensors that come from constants alone: never from inputs, variables or random numbers."""

    def __init__(self) -> None:
        self._values: dict[Any, np.ndarray | None] = {}

    def put(self, tensor: Any, value: np.ndarray | None) -> None:
        """Sets the value that an argument of a function has in a call."""
        if value is not None:
            self._values[tensor.ref()] = value

    def captured(self, graph: Any) -> None:
        """Takes the values of the tensors that a function closes over: unlike variables, they can't change."""
        for outer, inner in graph.captures:
            if isinstance(outer, tf.Tensor) and hasattr(outer, "numpy") and outer.dtype not in _HANDLES:
                self.put(inner, outer.numpy())

    def value(self, tensor: Any) -> np.ndarray | None:
        """The value; None where only a run knows it."""
        waiting, opened = [tensor], set()
        while waiting:  # no recursion: a chain of constants may be long
            last = waiting[-1]
            inputs = [] if last.ref() in self._values or last.ref() in opened else self._needed(last)
            opened.add(last.ref())
            unknown = [given for given in inputs if given.ref() not in self._values and given.ref() not in opened]
            if unknown:
                waiting += unknown
                continue
            waiting.pop()
            if last.ref() not in self._values:
                self._values[last.ref()] = self._computed(last)
        return self._values[tensor.ref()]

    def _needed(self, tensor: Any) -> Sequence[Any]:
        """The tensors whose values a value is computed from."""
        operation = tensor.op
        large = tensor.dtype in _HANDLES or _size(tensor) > _MOST
        if large or operation.op_def is None or operation.op_def.is_stateful or calls_functions(operation):
            return ()
        return () if tf.get_static_value(tensor) is not None else operation.inputs

    def _computed(self, tensor: Any) -> np.ndarray | None:
        if tensor.dtype in _HANDLES or _size(tensor) > _MOST:
            return None
        static = tf.get_static_value(tensor)
        if static is not None:
            return np.asarray(static)
        operation = tensor.op
        if (
            not operation.inputs
            or operation.op_def is None
            or operation.op_def.is_stateful
            or calls_functions(operation)
        ):
            return None
        values = [self._values.get(given.ref()) for given in operation.inputs]
        if any(value is None for value in values):
            return None
        found = computed(operation, values)
        return None if found is None else found[tensor.value_index]


_HANDLES = (tf.resource, tf.variant)


def _size(tensor: Any) -> int:
    return tensor.shape.num_elements() or 0


# Of what :func:`small_constant` looks at.
_FEW, _DEPTH = 32, 8


def small_constant(tensor: Any, depth: int = _DEPTH) -> np.ndarray | None:
    """The value of a tensor of few elements, which a few ops make of constants; None where that isn't so.

    More than ``tf.get_static_value`` knows: ranks compared, axes counted from the end.
    """
    if isinstance(tensor, tf.Tensor) and hasattr(tensor, "numpy"):
        value: np.ndarray = tensor.numpy()
        return value
    static = tf.get_static_value(tensor)
    if static is not None or depth == 0 or not _is_small(tensor):
        return None if static is None else np.asarray(static)
    operation = tensor.op
    if operation.op_def is None or operation.op_def.is_stateful or calls_functions(operation) or not operation.inputs:
        return None
    values: list[np.ndarray] = []
    for given in operation.inputs:
        value_or_none = small_constant(given, depth - 1)
        if value_or_none is None:
            return None
        values.append(value_or_none)
    found = computed(operation, values)
    return None if found is None else found[tensor.value_index]


def _is_small(tensor: Any) -> bool:
    count = tensor.shape.num_elements()
    return tensor.dtype not in _HANDLES and count is not None and count <= _FEW
