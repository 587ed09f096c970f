"""The range of an integer input that is an index of a table: XLA takes the nearest place for one outside, in silence.

The value's graph of one point is followed from its integer inputs through ops that move numbers, choose some of them,
or add a constant, up to the ops that look up places of a table. Which element of which input a number is, is known by
its place: the ops that move numbers are run on the places themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ....differentiable import Differentiable
from ....graph.emit import computed
from ....graph.fold import KnownValues
from ...functions.interface import Entry, Port
from ...functions.tf_functions import argument_specs, exported
from ..compile.frozen_graph import freeze
from .recorded_points import LARGEST_INTEGER, integer_limits

_SAME = frozenset({"Identity", "Cast", "StopGradient", "PreventGradient", "EnsureShape", "Snapshot"})
# They move the numbers of their first input, and the other inputs say where; else which inputs hold the numbers.
_MOVING = {
    *("BroadcastTo", "ConcatV2", "ExpandDims", "GatherV2", "MirrorPad", "Pack", "Pad", "Reshape", "ReverseV2", "Slice"),
    *("Split", "SplitV", "Squeeze", "StridedSlice", "Tile", "Transpose", "Unpack"),
}
_NUMBERS = {"ConcatV2": slice(None, -1), "Pack": slice(None), "Split": slice(1, None)}


class Places(NamedTuple):
    """Numbers of a tensor that are elements of integer inputs plus constants.

    Attributes:
        of: for each number the place of its element among those of all integer inputs, from 1 on; 0 for others.
        plus: what is added to it.
    """

    of: np.ndarray
    plus: np.ndarray


# What a tensor may hold, one of several: a choice of an op gives one more. None where anything else may be in it.
Alternatives = list[Places] | None


def table_ranges(source: Differentiable, value: Entry) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """``{name: (low, high)}`` of the integer inputs that are indices of tables; each shaped like one point.

    An element that is no index for sure has the range of its dtype.

    Args:
        source: the model.
        value: its entry of the kind "value".
    """
    ports = [port for port in value.inputs if "int" in port.dtype]
    if not ports:
        return {}
    frozen = freeze(exported(source, value), argument_specs(value, 1))
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen.graph, name="")
    found = _Lookups(ports)
    for operation in graph.get_operations():
        found.visit(operation)
    return found.ranges()


class _Lookups:
    """The bounds of all elements of the integer inputs, while the ops of a graph are visited in order."""

    def __init__(self, ports: Sequence[Port]) -> None:
        self._ports = ports
        self._starts = np.cumsum([1, *(port.elements for port in ports)])
        self._low = np.full(self._starts[-1], -LARGEST_INTEGER, np.int64)
        self._high = np.full(self._starts[-1], LARGEST_INTEGER, np.int64)
        self._values: dict[str, Alternatives] = {}
        self._known = KnownValues()

    def visit(self, operation: Any) -> None:
        """Takes down what the results of an op hold, and what an op of a table asks of its indices."""
        if operation.type == "Placeholder":
            results = [self._element(operation)]
        else:
            given = [self._values.get(tensor.name) for tensor in operation.inputs]
            if not any(given):
                return
            if operation.type in ("Gather", "GatherV2") and given[1]:
                self._look_up(operation, given[1])
            results = self._results(operation, given)
        for tensor, found in zip(operation.outputs, results, strict=False):
            self._values[tensor.name] = found

    def ranges(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The bounds of each input that has an element with others than its dtype's."""
        found = {}
        for port, start, end in zip(self._ports, self._starts, self._starts[1:], strict=False):
            least, most = integer_limits(port)
            low, high = np.maximum(self._low[start:end], least), np.minimum(self._high[start:end], most)
            bound = (self._low[start:end] > -LARGEST_INTEGER).any()
            if bound and (low <= high).all():
                found[port.name] = (low.reshape(port.shape).astype(float), high.reshape(port.shape).astype(float))
        return found

    def _element(self, placeholder: Any) -> Alternatives:
        for port, start in zip(self._ports, self._starts, strict=False):
            if port.name == placeholder.name:
                of = np.arange(start, start + port.elements).reshape((1, *port.shape))
                return [Places(of, np.zeros_like(of))]
        return None

    def _look_up(self, operation: Any, indices: list[Places]) -> None:
        """Narrows the bounds of ``indices`` to the places of the table; of several alternatives one has to fit."""
        axis = 0 if operation.type == "Gather" else tf.get_static_value(operation.inputs[2])
        shape = operation.inputs[0].shape
        size = None if axis is None or shape.rank is None else shape[int(axis)]
        if size is None:
            return
        low, high = np.full(len(self._low), LARGEST_INTEGER), np.full(len(self._low), -LARGEST_INTEGER)
        for places in indices:
            np.minimum.at(low, places.of.ravel(), -places.plus.ravel())
            np.maximum.at(high, places.of.ravel(), size - 1 - places.plus.ravel())
        seen = low <= high
        self._low[seen] = np.maximum(self._low[seen], low[seen])
        self._high[seen] = np.minimum(self._high[seen], high[seen])

    def _results(self, operation: Any, given: Sequence[Alternatives]) -> list[Alternatives]:
        nothing: list[Alternatives] = [None] * len(operation.outputs)
        if operation.type in _SAME:
            return [given[0]] if _keeps_integers(operation) else nothing
        if operation.type in ("Select", "SelectV2"):
            return [_either(operation, given[1], given[2])]
        if operation.type in ("Add", "AddV2", "Sub"):
            return [self._sum(operation, given)]
        return self._moved(operation, given) if operation.type in _MOVING else nothing

    def _sum(self, operation: Any, given: Sequence[Alternatives]) -> Alternatives:
        """The numbers of one input plus a constant, which is the other one."""
        side = 0 if given[0] else 1
        constant = self._known.value(operation.inputs[1 - side])
        if constant is None or (side == 1 and operation.type == "Sub"):
            return None
        sign = -1 if operation.type == "Sub" else 1
        added = [np.broadcast_arrays(p.of, p.plus + sign * constant.astype(np.int64)) for p in given[side] or ()]
        return [Places(*pair) for pair in added]

    def _moved(self, operation: Any, given: Sequence[Alternatives]) -> list[Alternatives]:
        """Where an op that moves numbers puts each of them: it is run on their places."""
        count = len(operation.inputs)
        moving = range(count)[_NUMBERS.get(operation.type, slice(0, 1))]
        known = {i: self._known.value(operation.inputs[i]) for i in range(count) if i not in moving}
        if any(value is None for value in known.values()):
            return [None] * len(operation.outputs)
        results: list[list[Places]] = [[] for _ in operation.outputs]
        for choice in range(max(len(given[i] or ()) for i in moving)):
            chosen = [_chosen(operation.inputs[i], given[i], choice) for i in moving]
            runs = [
                _run(operation, dict(zip(moving, arrays, strict=True)) | known) for arrays in zip(*chosen, strict=True)
            ]
            for result, *places in zip(results, *(run or () for run in runs), strict=False):
                result.append(Places(*places))
        return [found or None for found in results]


def _chosen(tensor: Any, found: Alternatives, choice: int) -> Places:
    """One of the alternatives of a tensor; of another tensor no places."""
    if found:
        return found[min(choice, len(found) - 1)]
    nothing = np.zeros([size or 1 for size in tensor.shape.as_list()], np.int64)
    return Places(nothing, nothing)


def _run(operation: Any, values: dict[int, np.ndarray]) -> list[np.ndarray] | None:
    """The results of an op for other inputs; None where they are too large for its dtype."""
    arrays = [values[i] for i in range(len(operation.inputs))]
    limits = [np.iinfo(tensor.dtype.as_numpy_dtype) for tensor in operation.inputs]
    pairs = zip(arrays, limits, strict=True)
    fits = all(a.min(initial=0) >= limit.min and a.max(initial=0) <= limit.max for a, limit in pairs)
    return computed(operation, arrays) if fits else None


def _keeps_integers(operation: Any) -> bool:
    """Whether the results of an op are the numbers of its input: not where they are cut to a few bits."""
    before, after = operation.inputs[0].dtype, operation.outputs[0].dtype
    return after.is_integer and (after.size >= min(before.size, 4))


def _either(operation: Any, first: Alternatives, second: Alternatives) -> Alternatives:
    """What a choice between two tensors holds, element by element."""
    if not first or not second:
        return None
    shape = operation.outputs[0].shape.as_list()
    return [Places(*(np.broadcast_to(array, shape) for array in places)) for places in (*first, *second)]
