"""Rules as those of :mod:`op_rules`, for ops that move, pick, join and reduce axes, and for lists of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ...graph.static_shapes import entries
from .op_rules import AxisState, MixingError, Rows, UnknownError, agreed, keeps, outputs, rank, tainted


def _axes(tensor: Any, count: int) -> list[int]:
    """The axes that a tensor holds, counted from the front.

    Raises:
        UnknownError: only a run knows them.
    """
    found = entries(tensor)
    if found is None or None in found:
        raise UnknownError
    return [axis % count for axis in found if axis is not None]


def _only(states: Sequence[AxisState], index: int = 0) -> Rows:
    """The state of one input, which alone may hold samples."""
    state = states[index]
    if state is None or any(s is not None for i, s in enumerate(states) if i != index):
        raise UnknownError
    return state


@keeps("Reshape")
def _reshape(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    """Elements keep their order: an axis has to begin where the samples' began, with whole entries for each sample."""
    state = _only(states)
    old, new = op.inputs[0].shape, _new_shape(op)
    before, own = _count(old[: state.axis]), _count(old[state.axis + 1 :])
    if before is None or own is None:
        raise UnknownError
    for axis in range(len(new)):
        inner = _count(new[axis + 1 :])
        if _count(new[:axis]) == before and inner and (own * state.each) % inner == 0:
            return [Rows(axis, own * state.each // inner)]
    raise UnknownError


def _new_shape(op: Any) -> tf.TensorShape:
    """The static shape of the result, with the sizes that the graph computes while it is traced."""
    rank(op.outputs[0])
    wanted = entries(op.inputs[1])
    shape = op.outputs[0].shape
    return shape if wanted is None else shape.merge_with([None if n == -1 else n for n in wanted])


def _count(shape: tf.TensorShape) -> int | None:
    sizes = shape.as_list()
    return None if None in sizes else math.prod(sizes)


@keeps("ExpandDims")
def _expand(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    (axis,) = _axes(op.inputs[1], rank(op.outputs[0]))
    return [Rows(state.axis + (axis <= state.axis), state.each)]


@keeps("Squeeze")
def _squeeze(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state, count = _only(states), rank(op.inputs[0])
    axes = {axis % count for axis in op.get_attr("squeeze_dims")}
    if not axes:
        sizes = op.inputs[0].shape.as_list()
        if None in sizes[: state.axis] + sizes[state.axis + 1 :]:
            raise UnknownError
        axes = {axis for axis, size in enumerate(sizes) if size == 1}
    return [_without(state, axes)]


def _without(state: Rows, axes: set[int]) -> Rows:
    if state.axis in axes:
        raise MixingError
    return Rows(state.axis - sum(axis < state.axis for axis in axes), state.each)


@keeps("Transpose", "ConjugateTranspose")
def _transpose(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    return [Rows(_axes(op.inputs[1], rank(op.inputs[0])).index(state.axis), state.each)]


@keeps("Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm")
def _reduce(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    axes = set(_axes(op.inputs[1], rank(op.inputs[0])))
    reduced = _without(state, axes)
    return [state if op.get_attr("keep_dims") else reduced]


@keeps("Cumsum", "Cumprod", "CumulativeLogsumexp", "ReverseV2")
def _along(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    _without(state, set(_axes(op.inputs[1], rank(op.inputs[0]))))
    return [state]


@keeps("Roll")
def _roll(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    _without(state, set(_axes(op.inputs[2], rank(op.inputs[0]))))
    return [state]


@keeps("ReverseSequence")
def _reverse_sequence(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    _without(state, {op.get_attr("seq_dim")})
    return [state]


@keeps("Pad", "PadV2", "MirrorPad")
def _pad(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    paddings = entries(op.inputs[1])
    if paddings is None:
        raise UnknownError
    if paddings[2 * state.axis : 2 * state.axis + 2] != [0, 0]:
        raise MixingError
    return [state]


@keeps("Tile")
def _tile(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    if _entry(op.inputs[1], state.axis) != 1:
        raise UnknownError
    return [state]


def _entry(vector: Any, index: int) -> int | None:
    """One entry of a vector; None where it isn't known."""
    found = entries(vector)
    return None if found is None else found[index]


@keeps("ConcatV2")
def _concat(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = agreed([s for _, s in tainted(op, states)])
    _without(state, set(_axes(op.inputs[-1], rank(op.outputs[0]))))
    return [state]


@keeps("Pack")
def _pack(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = agreed([s for _, s in tainted(op, states)])
    axis = op.get_attr("axis") % rank(op.outputs[0])
    return [Rows(state.axis + (axis <= state.axis), state.each)]


@keeps("Unpack")
def _unpack(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    return outputs(op, _without(_only(states), {op.get_attr("axis") % rank(op.inputs[0])}))


@keeps("Split")
def _split(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    return _split_along(op, _only(states, 1), op.inputs[0], rank(op.inputs[1]))


@keeps("SplitV")
def _split_sizes(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    return _split_along(op, _only(states), op.inputs[2], rank(op.inputs[0]))


def _split_along(op: Any, state: Rows, axis: Any, count: int) -> Sequence[AxisState]:
    _without(state, set(_axes(axis, count)))
    return outputs(op, state)


@keeps("Slice")
def _slice(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    whole = _entry(op.inputs[2], state.axis) in (-1, op.inputs[0].shape[state.axis])
    if _entry(op.inputs[1], state.axis) != 0 or not whole:
        raise UnknownError
    return [state]


@keeps("StridedSlice")
def _strided_slice(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    """``x[a:b:c, ..., newaxis, i]``: it has to take all samples, in their order."""
    state = _only(states)
    count, spec = rank(op.inputs[0]), op.inputs[1].shape[0]
    if spec is None:
        raise UnknownError
    new, ellipsis, shrink = (op.get_attr(f"{name}_mask") for name in ("new_axis", "ellipsis", "shrink_axis"))
    taken = sum(not (new | ellipsis) >> i & 1 for i in range(spec))
    source = result = 0
    for i in range(spec):
        if ellipsis >> i & 1:
            hidden = count - taken
            if source <= state.axis < source + hidden:
                return [Rows(result + state.axis - source, state.each)]
            source, result = source + hidden, result + hidden
        elif new >> i & 1:
            result += 1
        elif source == state.axis:
            _check_whole(op, i)
            return [Rows(result, state.each)]
        else:
            source, result = source + 1, result + (not shrink >> i & 1)
    return [Rows(result + state.axis - source, state.each)]


def _check_whole(op: Any, position: int) -> None:
    begin = op.get_attr("begin_mask") >> position & 1 or _entry(op.inputs[1], position) == 0
    end = op.get_attr("end_mask") >> position & 1
    if op.get_attr("shrink_axis_mask") >> position & 1 or not begin or not end or _entry(op.inputs[3], position) != 1:
        raise MixingError


@keeps("GatherV2")
def _gather(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    (axis,) = _axes(op.inputs[2], rank(op.inputs[0]))
    if axis == state.axis:
        raise MixingError
    more = rank(op.inputs[1]) - op.get_attr("batch_dims") - 1
    return [Rows(state.axis + (more if axis < state.axis else 0), state.each)]


@keeps("TensorListFromTensor")
def _to_list(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    return [_without(state, {0})]


@keeps("TensorListStack")
def _stacked(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    state = _only(states)
    return [Rows(state.axis + 1, state.each)]


@keeps("TensorListSetItem", "TensorListPushBack", "TensorListGetItem", "TensorListPopBack")
def _items(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    return outputs(op, agreed([s for _, s in tainted(op, states)]))
