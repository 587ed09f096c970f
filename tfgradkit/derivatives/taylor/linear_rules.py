"""Rules of linear ops: applied to the slopes, whose directions are one more axis in front, and to the bend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import dims
from ...graph.emit import NoRuleError, emit
from ...op_gradients.ops.stopped_means import stops_a_mean
from .jet import Jet, static_integers
from .taylor_rules import folded, local, rule

# From (op, what its inputs have for slopes, full, zeros where they do not depend on x) to slopes.
Shifted = Callable[[Any, list[tf.Tensor]], list[tf.Tensor]]


@rule("Identity", "IdentityN", "Neg", "Snapshot", "Cast", "ZerosLike")
def same_shape(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """Element by element, so that axes of size 1 may stay."""
    outputs = emit(operation, [jet.value for jet in inputs])
    if operation.type == "IdentityN":
        return [Jet(y, jet.slopes, jet.bend) for y, jet in zip(outputs, inputs, strict=True)]
    if operation.type == "ZerosLike" or not outputs[0].dtype.is_floating:
        return [Jet(y) for y in outputs]
    (jet,) = inputs
    bend = None if jet.bend is None else emit(operation, [jet.bend])[0]
    return [Jet(outputs[0], emit(operation, [jet.slopes])[0], bend)]


@rule("StopGradient")
def stopped(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """Nothing goes on, but at the mean of a variance."""
    (y,) = emit(operation, [inputs[0].value])
    return [replace(inputs[0], value=y)] if stops_a_mean(operation) else [Jet(y)]


@rule("Add", "AddV2", "Sub", "BiasAdd", "BiasAddV1", "AddN")
def total(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """Slopes of the sum are sums of slopes, broadcast as the values are."""
    (y,) = emit(operation, [jet.value for jet in inputs])
    if operation.type == "BiasAdd" and operation.get_attr("data_format") == b"NCHW":
        return local(operation, inputs, active)
    slopes = bend = None
    for i in active:
        sign = -1 if operation.type == "Sub" and i == 1 else 1
        slopes = _plus(slopes, inputs[i].aligned(y.shape.rank), sign)
        bend = bend if inputs[i].bend is None else _plus(bend, inputs[i].bend, sign)
    return [Jet(y, slopes, bend)]


def _plus(a: tf.Tensor | None, b: tf.Tensor, sign: int) -> tf.Tensor:
    if a is None:
        return b if sign == 1 else -b
    return a + b if sign == 1 else a - b


def shifted(*types: str) -> Callable[[Shifted], Shifted]:
    """Registers an op that is linear in all floating inputs together, with its way to treat an axis in front."""

    def decorate(function: Shifted) -> Shifted:
        def apply(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
            outputs = emit(operation, [jet.value for jet in inputs])
            count = dims(inputs[active[0]].slopes)[0]
            try:
                slopes = function(operation, [_slopes(jet, count) for jet in inputs])
            except NoRuleError:
                return local(operation, inputs, active)
            if not any(jet.bend is not None for jet in inputs):
                return [Jet(y, slope) for y, slope in zip(outputs, slopes, strict=True)]
            bends = emit(operation, [jet.full_bend if jet.value.dtype.is_floating else jet.value for jet in inputs])
            return [Jet(y, slope, bend) for y, slope, bend in zip(outputs, slopes, bends, strict=True)]

        rule(*types)(apply)
        return function

    return decorate


def _slopes(jet: Jet, count: Any) -> tf.Tensor:
    if jet.slopes is not None:
        return jet.full_slopes
    if not jet.value.dtype.is_floating:
        return jet.value
    return tf.zeros([count, *dims(jet.value)], jet.value.dtype)


def _axis(tensor: tf.Tensor, rank: int) -> np.ndarray:
    """The same axes behind the directions."""
    axes = static_integers(tensor)
    return (np.where(axes < 0, axes + rank, axes) + 1).astype(np.int32)


@shifted("Reshape", "Squeeze", "ExpandDims")
def _reshaped(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    slopes = given[0]
    sizes = operation.outputs[0].shape.as_list() if operation.outputs[0].shape.rank is not None else [None, None]
    count = dims(slopes)[0]
    if sizes.count(None) <= 1:
        # Where the one unknown size is, -1 stands; but not where there may be nothing.
        return [tf.reshape(slopes, [count, *[-1 if n is None else n for n in sizes]])]
    if operation.type != "Reshape":
        raise NoRuleError(operation.type)
    return [tf.reshape(slopes, tf.concat([[count], given[1]], 0))]


@shifted("Transpose")
def _transposed(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    return [tf.transpose(given[0], [0, *_axis(given[1], given[0].shape.rank - 1)])]


@shifted("Sum", "Mean")
def _reduced(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    axes = _axis(given[1], given[0].shape.rank - 1)
    return emit(operation, [given[0], tf.constant(axes)])


@shifted("Cumsum", "ReverseV2")
def _along_axes(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    return emit(operation, [given[0], tf.constant(_axis(given[1], given[0].shape.rank - 1))])


@shifted("ConcatV2")
def _concatenated(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    return emit(operation, [*given[:-1], tf.constant(_axis(given[-1], given[0].shape.rank - 1))])


@shifted("Pack")
def _packed(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    axis = operation.get_attr("axis")
    return emit(operation, given, axis=axis + 1 if axis >= 0 else axis)


@shifted("Unpack")
def _unpacked(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    axis = operation.get_attr("axis")
    return emit(operation, given, axis=axis + 1 if axis >= 0 else axis)


@shifted("Split")
def _split(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    return emit(operation, [tf.constant(_axis(given[0], given[1].shape.rank - 1)), given[1]])


@shifted("SplitV")
def _split_by_sizes(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    return emit(operation, [given[0], given[1], tf.constant(_axis(given[2], given[0].shape.rank - 1))])


@shifted("GatherV2")
def _gathered(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    if operation.get_attr("batch_dims"):
        raise NoRuleError(operation.type)
    return emit(operation, [given[0], given[1], tf.constant(_axis(given[2], given[0].shape.rank - 1))])


@shifted("Slice")
def _sliced(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    return [
        tf.slice(
            given[0], *(tf.concat([[tf.constant(n, t.dtype)], t], 0) for n, t in zip((0, -1), given[1:], strict=True))
        )
    ]


@shifted("StridedSlice")
def _strided(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    slopes, *bounds = given
    masks = {name: operation.get_attr(name) << 1 for name in _MASKS}
    for name in ("begin_mask", "end_mask"):
        masks[name] |= 1  # all directions
    lengthened = [tf.concat([[tf.constant(n, t.dtype)], t], 0) for n, t in zip((0, 0, 1), bounds, strict=True)]
    return emit(operation, [slopes, *lengthened], **masks)


_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


@shifted("BroadcastTo")
def _broadcast(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    slopes, shape = given
    sizes = dims(slopes)
    ones = [1] * (operation.outputs[0].shape.rank + 1 - slopes.shape.rank)
    aligned = tf.reshape(slopes, [sizes[0], *ones, *sizes[1:]])
    return [tf.broadcast_to(aligned, tf.concat([tf.cast([sizes[0]], shape.dtype), shape], 0))]


@shifted("Tile")
def _tiled(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    return [tf.tile(given[0], tf.concat([tf.ones([1], given[1].dtype), given[1]], 0))]


@shifted("Pad", "MirrorPad")
def _padded(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    return emit(operation, [given[0], _behind_directions(given[1])])


def _behind_directions(paddings: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.zeros([1, 2], paddings.dtype), paddings], 0)


@rule("PadV2")
def padded_with(operation: Any, inputs: list[Jet], active: list[int]) -> list[Jet]:
    """A value around a tensor: slopes are padded with zeros."""
    jet, paddings, value = inputs
    if 2 in active:
        return local(operation, inputs, active)
    bend = None if jet.bend is None else tf.pad(jet.full_bend, paddings.value)
    (y,) = emit(operation, [jet.value, paddings.value, value.value])
    return [Jet(y, tf.pad(jet.full_slopes, _behind_directions(paddings.value)), bend)]


@shifted("SelectV2")
def _selected(operation: Any, given: list[tf.Tensor]) -> list[tf.Tensor]:
    """What is not finite in the branch that is not taken is not finite here, either, as in reverse mode.

    Of ``tf.where(x == 0, 1, tf.sin(x) / x)`` nobody knows the derivative at 0 from its branch.
    """
    rank = operation.outputs[0].shape.rank
    first, second = (_lengthened(slopes, rank) for slopes in given[1:])
    return emit(operation, [given[0], first + 0 * second, second + 0 * first])


def _lengthened(slopes: tf.Tensor, rank: int) -> tf.Tensor:
    sizes = dims(slopes)
    return tf.reshape(slopes, [sizes[0], *[1] * (rank + 1 - slopes.shape.rank), *sizes[1:]])


@rule("AvgPool", "DepthToSpace", "SpaceToDepth")
def images(operation: Any, inputs: list[Jet], active: Sequence[int]) -> list[Jet]:
    """Linear ops whose first axis is a batch: all directions are one larger batch."""
    (jet,) = inputs
    (y,) = emit(operation, [jet.value])
    bend = None if jet.bend is None else emit(operation, [jet.full_bend])[0]
    return [Jet(y, folded(lambda rows: emit(operation, [rows])[0], jet), bend)]


@rule("ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor", "ResizeArea")
def resized(operation: Any, inputs: list[Jet], active: Sequence[int]) -> list[Jet]:
    """Linear in the pictures, of sizes that don't depend on x."""
    jet, size = inputs
    (y,) = emit(operation, [jet.value, size.value])
    bend = None if jet.bend is None else emit(operation, [jet.full_bend, size.value])[0]
    return [Jet(y, folded(lambda rows: emit(operation, [rows, size.value])[0], jet), bend)]
