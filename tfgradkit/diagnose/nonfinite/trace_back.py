"""Which op made the NaN or Inf that a result has: tensors that are not finite are noted in a run, and followed back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from ...graph.ops import ELEMENTWISE, SELECTS
from ...graph.recorded_run import RecordedValue, RunStep

_PRODUCTS = frozenset({"Mul", "MatMul", "BatchMatMulV2", "Einsum"})
Origin = Literal["op", "constant", "input", "variable"]
Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class NonFiniteTrouble:
    """A tensor that is not finite everywhere.

    Attributes:
        number: of the op, in the order of the run; -1 for a tensor from outside.
        bad: where the tensor is not finite; None for a list of tensors, which can't be looked into.
        nan: whether there is a NaN, not only Inf.
        origin: "op" where an op made it of finite numbers, or passed it on; else where the tensor comes from.
        intended: an Inf that is a constant of the function, or comes from such constants alone.
        step: the op; None for a tensor from outside.
        parents: the troubles of its inputs, by position.
        name: of the input or variable.
    """

    number: int
    bad: Any
    nan: bool
    origin: Origin
    intended: bool = False
    step: RunStep | None = None
    parents: dict[int, NonFiniteTrouble] = field(default_factory=dict)
    name: str = ""

    def first(self) -> Index:
        """The index of the first element that isn't finite."""
        return () if self.bad is None else tuple(int(i) for i in np.argwhere(self.bad)[0])


def outside(value: Any, origin: Origin, name: str) -> NonFiniteTrouble | None:
    """The trouble of an input, variable or constant; None where it is finite."""
    bad, nan = _not_finite(value)
    intended = origin == "constant" and not nan
    return None if bad is None else NonFiniteTrouble(-1, bad, nan, origin, intended, name=name)


class Watch:
    """Notes a :class:`NonFiniteTrouble` for each tensor of a run that isn't finite."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, step: RunStep) -> Sequence[NonFiniteTrouble | None]:
        """The notes for the results of an op."""
        self._count += 1
        parents = {i: cell.note for i, cell in enumerate(step.inputs) if cell.note is not None}
        return [self._note(step, value, parents) for value in step.results]

    def _note(self, step: RunStep, value: Any, parents: dict[int, NonFiniteTrouble]) -> NonFiniteTrouble | None:
        if value.dtype == tf.variant:
            return _earliest(parents.values())
        bad, nan = _not_finite(value)
        if bad is None:
            return None
        constant = step.operation.type == "Const"
        intended = not nan and (constant or (bool(parents) and all(p.intended for p in parents.values())))
        # Only an op that makes NaN or Inf keeps its inputs: with the inputs of others the whole run would be kept.
        makes = all(p.intended for p in parents.values())
        kept = step if makes else replace(step, inputs=_only_selectors(step), results=())
        return NonFiniteTrouble(self._count, bad, nan, "constant" if constant else "op", intended, kept, parents)


def _only_selectors(step: RunStep) -> tuple[RecordedValue, ...]:
    """The inputs that are needed to follow an op back: the condition of a choice."""
    return step.inputs[:1] if step.operation.type in SELECTS else ()


def _not_finite(value: Any) -> tuple[Any, bool]:
    if not (value.dtype.is_floating or value.dtype.is_complex):
        return None, False
    array = value.numpy()
    finite = np.isfinite(array)
    return (None, False) if finite.all() else (~finite, bool(np.isnan(array).any()))


@dataclass(frozen=True)
class Culprit:
    """Where the NaN or Inf of a result began.

    Attributes:
        trouble: the first tensor that has it.
        index: of the element.
        annulled: whether it began as Inf, and a product on the way made NaN of it: 0 · Inf.
    """

    trouble: NonFiniteTrouble
    index: Index
    annulled: bool = False


def find_culprit(trouble: NonFiniteTrouble) -> Culprit:
    """Follows a result back to the first op on its way that made NaN or Inf.

    An Inf that is a constant of the function (a mask, the start of a maximum) is no culprit; the op that makes NaN of
    it is.
    """
    index, annulled = trouble.first(), False
    while trouble.step is not None and trouble.parents:
        if trouble.nan and all(p.intended for p in trouble.parents.values()):
            break  # this op made NaN of an intended Inf
        elementwise = trouble.step.operation.type in ELEMENTWISE and trouble.bad is not None
        same_element = _parents_at(trouble, index) if elementwise else {}
        candidates = (same_element or trouble.parents).values()
        followed = _earliest(p for p in candidates if not p.intended) or _earliest(candidates)
        assert followed is not None
        position = next(i for i, p in trouble.parents.items() if p is followed)
        annulled |= trouble.nan and not followed.nan and trouble.step.operation.type in _PRODUCTS
        index = _index_in(index, followed) if position in same_element else followed.first()
        trouble = followed
    return Culprit(trouble, index, annulled)


def _parents_at(trouble: NonFiniteTrouble, index: Index) -> dict[int, NonFiniteTrouble]:
    """The inputs that aren't finite at an element of an element-wise op's result."""
    parents = {i: p for i, p in trouble.parents.items() if p.bad is not None and _is_bad_at(p, index)}
    assert trouble.step is not None
    if trouble.step.operation.type in SELECTS and trouble.step.inputs:
        chosen = trouble.step.inputs[0].value.numpy()
        if len(chosen.shape) in (0, len(index)):  # tf.compat.v1.where takes whole rows, too
            position = 1 if bool(chosen[_broadcast_index(index, chosen.shape)]) else 2
            parents = {i: p for i, p in parents.items() if i == position}
    return parents


def _is_bad_at(trouble: NonFiniteTrouble, index: Index) -> bool:
    shape = trouble.bad.shape
    return len(shape) <= len(index) and bool(trouble.bad[_broadcast_index(index, shape)])


def _index_in(index: Index, trouble: NonFiniteTrouble) -> Index:
    return index if trouble.bad is None else _broadcast_index(index, trouble.bad.shape)


def _broadcast_index(index: Index, shape: Sequence[int]) -> Index:
    """The index of a result's element in an input that was broadcast to the result."""
    own = index[len(index) - len(shape) :] if shape else ()
    return tuple(0 if size == 1 else i for i, size in zip(own, shape, strict=True))


def _earliest(troubles: Any) -> NonFiniteTrouble | None:
    return min(troubles, key=lambda trouble: trouble.number, default=None)


def value_at(value: Any, index: Index, operation: Any) -> float | complex | None:
    """The number of an input that an element of an element-wise op's result comes from; None for other ops."""
    if operation.type not in ELEMENTWISE and value.shape.rank != 0:
        return None
    array = value.numpy()
    if array.dtype == object or len(array.shape) > len(index):
        return None
    try:
        return array[_broadcast_index(index, array.shape)].item()
    except IndexError:
        return None
