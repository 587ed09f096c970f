"""Shapes, axes and permutations that a graph computes, as far as they are known while it is traced."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_BINARY: dict[str, Callable[[int, int], int]] = {
    "Add": operator.add,
    "AddV2": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
}
# The entries of a vector, or a scalar as a list of one entry; None for an entry that only a run knows.
Entries = list[int | None]


def entries(tensor: Any) -> Entries | None:
    """The entries of a vector or scalar of integers; None where even their number isn't known."""
    value = tf.get_static_value(tensor)
    if value is not None:
        return [int(number) for number in np.reshape(value, -1)]
    rule = _RULES.get(tensor.op.type)
    return None if rule is None else rule(tensor.op)


def _shape(op: Any) -> Entries | None:
    return None if op.inputs[0].shape.rank is None else list(op.inputs[0].shape.as_list())


def _packed(op: Any) -> Entries | None:
    size = op.inputs[0].shape.num_elements()
    if size is None or (size > 1 and op.get_attr("axis") != 0):
        return None
    return [entry for tensor in op.inputs for entry in entries(tensor) or [None] * size]


def _joined(op: Any) -> Entries | None:
    parts = [entries(tensor) for tensor in op.inputs[:-1]]
    return None if None in parts else [number for part in parts for number in part or []]


def _gathered(op: Any) -> Entries | None:
    given, picked = entries(op.inputs[0]), entries(op.inputs[1])
    if given is None or picked is None or None in picked:
        return None
    return [given[index] for index in picked if index is not None]


def _product(op: Any) -> Entries | None:
    factors = entries(op.inputs[0])
    return [None if factors is None or None in factors else math.prod(n for n in factors if n is not None)]


def _binary(op: Any) -> Entries | None:
    left, right = entries(op.inputs[0]), entries(op.inputs[1])
    if left is None or right is None or len(left) != 1 or len(right) != 1 or left[0] is None or right[0] is None:
        return None
    return [_BINARY[op.type](left[0], right[0])]


def _range(op: Any) -> Entries | None:
    limits = [entries(tensor) for tensor in op.inputs]
    known = [n for limit in limits for n in limit or [] if n is not None]
    return list(range(*known)) if len(known) == 3 else None


_RULES: dict[str, Callable[[Any], Entries | None]] = {
    **dict.fromkeys(_BINARY, _binary),
    "ConcatV2": _joined,
    "GatherV2": _gathered,
    "Pack": _packed,
    "Prod": _product,
    "Range": _range,
    "Shape": _shape,
}
