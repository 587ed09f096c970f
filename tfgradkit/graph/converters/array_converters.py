"""Shapes, indices and segments, for all turns of a vectorized loop at once."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...arguments import dims
from ..emit import emit
from ..pfor import is_stacked, refused, stacked, theirs, vectorized, wrapped


def _with_input(given: Any, index: int, tensor: tf.Tensor, differs: bool = False) -> Any:
    """Another tensor for an input."""
    given.inputs[index] = wrapped([tensor], differs)[0]
    return given


def _rank(tensor: tf.Tensor) -> Any:
    return tf.rank(tensor) if tensor.shape.rank is None else tensor.shape.rank


def turns_of(given: Any, dtype: tf.DType = tf.int32) -> tf.Tensor:
    """``[turns]``."""
    return tf.cast(given.pfor.loop_len_vector, dtype)


@vectorized("Roll")
def _roll(given: Any) -> Any:
    """TensorFlow adds one to negative axes, too."""
    axis, rank = given.unstacked_input(2), _rank(given.op.inputs[0])
    _with_input(given, 2, tf.where(axis < 0, axis + tf.cast(rank, axis.dtype), axis))
    stacked(given, 0)
    return theirs(given)


@vectorized("PadV2")
def _pad(given: Any) -> Any:
    """TensorFlow forgets the value."""
    tensor, paddings = stacked(given, 0), given.unstacked_input(1)
    paddings = tf.concat([tf.zeros([1, 2], paddings.dtype), paddings], 0)
    if not is_stacked(given, 2):
        return wrapped(emit(given.op, [tensor, paddings, given.unstacked_input(2)]))
    ones = [1] * (tensor.shape.rank - 1) if tensor.shape.rank else tf.ones([tf.rank(tensor) - 1], tf.int32)
    value = tf.reshape(given.stacked_input(2), tf.concat([[-1], ones], 0))
    inside = tf.pad(tf.ones(tf.shape(tensor), tf.bool), paddings)
    return wrapped([tf.where(inside, tf.pad(tensor, paddings), value)])


@vectorized("MirrorPad", "MirrorPadGrad")
def _mirrored(given: Any) -> Any:
    """TensorFlow has no converter."""
    rank = given.op.inputs[0].shape.rank
    if rank is None or rank >= _MOST_MIRRORED:
        raise refused("the kernel takes five axes, with that of the turns")
    paddings = given.unstacked_input(1)
    return wrapped(emit(given.op, [given.stacked_input(0), tf.concat([tf.zeros([1, 2], paddings.dtype), paddings], 0)]))


_MOST_MIRRORED = 5
# Axes that the kernel can broadcast apart from one another, with those that stay between.
_MOST_BROADCAST = 5


@vectorized("BroadcastTo", from_rank=_MOST_BROADCAST)
def _broadcast(given: Any) -> Any:
    """In two steps where the turns make one axis too many for the kernel."""
    shape, rank = given.unstacked_input(1), given.op.outputs[0].shape.rank
    tensor, shape = given.stacked_input(0), tf.concat([turns_of(given, shape.dtype), shape], 0)
    ones = [1] * (rank + 1 - tensor.shape.rank)
    tensor = tf.reshape(tensor, [*dims(tensor)[:1], *ones, *dims(tensor)[1:]])
    half = (rank + 1) // 2
    first = tf.concat([shape[:half], tf.shape(tensor, shape.dtype)[half:]], 0)
    return wrapped([tf.broadcast_to(tf.broadcast_to(tensor, first), shape)])


@vectorized("Squeeze")
def _squeeze(given: Any) -> Any:
    """TensorFlow squeezes the turns away where there is one turn and no axis is named."""
    if given.get_attr("squeeze_dims"):
        return theirs(given)
    tensor, shape = given.stacked_input(0), given.op.inputs[0].shape
    if shape.is_fully_defined():
        kept = tf.constant([n for n in shape.as_list() if n != 1], tf.int32)
    else:
        sizes = tf.shape(tensor)[1:]
        kept = tf.boolean_mask(sizes, sizes != 1)
    return wrapped([tf.reshape(tensor, tf.concat([turns_of(given), kept], 0))])


@vectorized("Fill")
def _fill(given: Any) -> Any:
    sizes, value = given.unstacked_input(0), given.stacked_input(1)
    ones = tf.ones_like(sizes)
    value = tf.reshape(value, tf.concat([turns_of(given, sizes.dtype), ones], 0))
    return wrapped([tf.broadcast_to(value, tf.concat([turns_of(given, sizes.dtype), sizes], 0))])


@vectorized("Slice")
def _slice(given: Any) -> Any:
    begin, size = given.input(1).t, given.unstacked_input(2)
    if is_stacked(given, 1):
        stacked(given, 0)
        return theirs(given)
    begin, size = (tf.concat([[tf.constant(n, t.dtype)], t], 0) for n, t in ((0, begin), (-1, size)))
    return wrapped(emit(given.op, [given.stacked_input(0), begin, size]))


@vectorized("GatherNd")
def _gather_nd(given: Any) -> Any:
    if is_stacked(given, 0):
        return theirs(given)
    return wrapped(emit(given.op, [given.unstacked_input(0), given.stacked_input(1)]))


@vectorized("GatherV2", negative="batch_dims")
def _gather(given: Any) -> Any:
    """TensorFlow counts negative ``batch_dims`` from the end of the indices of all turns."""
    batch = given.get_attr("batch_dims")
    rank = given.op.inputs[1].shape.rank
    if rank is None:
        raise refused("batch_dims < 0 with indices of unknown rank")
    return _gathered(given, batch + rank)


def _gathered(given: Any, batch: int) -> Any:
    axis = given.unstacked_input(2)
    rank = tf.cast(_rank(given.op.inputs[0]), axis.dtype)
    axis = tf.where(axis < 0, axis + rank, axis) + 1
    return wrapped([tf.gather(stacked(given, 0), stacked(given, 1), axis=axis, batch_dims=batch + 1)])


@vectorized("Gather")
def _rows(given: Any) -> Any:
    """TensorFlow asks for an attribute that the op hasn't."""
    if not is_stacked(given, 0):
        return wrapped([tf.gather(given.unstacked_input(0), given.stacked_input(1))])
    return wrapped([tf.gather(given.stacked_input(0), stacked(given, 1), batch_dims=1)])


@vectorized("TensorScatterUpdate", *(f"TensorScatter{name}" for name in ("Add", "Sub", "Max", "Min")))
def _scatter(given: Any) -> Any:
    tensor, indices, updates = (stacked(given, i) for i in range(3))
    return wrapped(emit(given.op, [tensor, _with_turn(indices), updates]))


@vectorized("ScatterNd")
def _scatter_into_zeros(given: Any) -> Any:
    """The gradients of what is gathered, sorted or chosen; TensorFlow has no converter."""
    indices, updates, sizes = stacked(given, 0), stacked(given, 1), given.unstacked_input(2)
    return wrapped(emit(given.op, [_with_turn(indices), updates, tf.concat([turns_of(given, sizes.dtype), sizes], 0)]))


def _with_turn(indices: tf.Tensor) -> tf.Tensor:
    """Indices ``[turns, ..., depth]`` with the number of the turn before them: ``[turns, ..., depth + 1]``."""
    sizes = tf.shape(indices)
    turn = tf.range(tf.shape(indices, indices.dtype)[0], dtype=indices.dtype)
    turn = tf.reshape(turn, tf.concat([sizes[:1], tf.ones_like(sizes[1:])], 0))
    return tf.concat([tf.broadcast_to(turn, tf.concat([sizes[:-1], [1]], 0)), indices], -1)


def _offset(ids: tf.Tensor, step: Any) -> tf.Tensor:
    """Ids ``[turns, ...]``, those of each turn behind the ones before."""
    turn = tf.range(tf.shape(ids, ids.dtype)[0], dtype=ids.dtype) * tf.cast(step, ids.dtype)
    return ids + tf.reshape(turn, [-1, *[1] * (ids.shape.rank - 1)])


def _unfolded(flat: tf.Tensor, turns: tf.Tensor, count: Any) -> tf.Tensor:
    return tf.reshape(flat, [turns[0], tf.cast(count, tf.int32), *dims(flat)[1:]])


def folded(tensor: tf.Tensor) -> tf.Tensor:
    """``[turns, count, ...]`` as ``[turns * count, ...]``."""
    sizes = dims(tensor)
    return tf.reshape(tensor, [sizes[0] * sizes[1], *sizes[2:]])


@vectorized(*(f"UnsortedSegment{name}" for name in ("Sum", "Max", "Min", "Prod")))
def _unsorted_segments(given: Any) -> Any:
    """TensorFlow's knows no ids of 64 bits."""
    data, ids, count = stacked(given, 0), stacked(given, 1), given.unstacked_input(2)
    if ids.shape.rank is None or data.shape.rank is None:
        return theirs(given)
    count = tf.cast(count, ids.dtype)
    ids = tf.where(ids < 0, ids, _offset(ids, count))
    total = count * turns_of(given, ids.dtype)[0]
    (found,) = emit(given.op, [data, ids, tf.cast(total, given.op.inputs[2].dtype)])
    return wrapped([_unfolded(found, turns_of(given), count)])


@vectorized(*(f"SparseSegment{name}Grad" for name in ("Sum", "Mean", "SqrtN")))
def _sparse_segment_gradients(given: Any) -> Any:
    """TensorFlow takes the number of segments from the ids; it is that of the gradient's rows."""
    gradient, indices, ids = (stacked(given, i) for i in range(3))
    rows = given.unstacked_input(3)
    indices = tf.reshape(_offset(indices, rows), [-1])
    ids = tf.reshape(_offset(ids, tf.shape(gradient)[1]), [-1])
    (found,) = emit(given.op, [folded(gradient), indices, ids, rows * turns_of(given)[0]])
    return wrapped([_unfolded(found, turns_of(given), rows)])


@vectorized(*(f"SparseSegment{name}{more}" for name in ("Sum", "Mean", "SqrtN") for more in ("", "WithNumSegments")))
def _sparse_segments(given: Any) -> Any:
    data, indices = stacked(given, 0), stacked(given, 1)
    if len(given.inputs) == 4:
        ids, count = stacked(given, 2), given.unstacked_input(3)
    else:
        given.unstacked_input(2)  # else turns might have results of different sizes
        ids = stacked(given, 2)
        count = tf.maximum(tf.reduce_max(ids) + 1, 0)
    indices = tf.reshape(_offset(indices, tf.shape(data)[1]), [-1])
    ids = tf.reshape(_offset(ids, count), [-1])
    more = (
        [tf.cast(count, given.op.inputs[3].dtype) * turns_of(given, given.op.inputs[3].dtype)[0]]
        if len(given.inputs) == 4
        else []
    )
    (found,) = emit(given.op, [folded(data), indices, ids, *more])
    return wrapped([_unfolded(found, turns_of(given), count)])


@vectorized("OneHot")
def _one_hot(given: Any) -> Any:
    """With values that differ from turn to turn, too."""
    if not (is_stacked(given, 2) or is_stacked(given, 3)):
        return theirs(given)
    axis = given.get_attr("axis")
    hot = tf.one_hot(stacked(given, 0), given.unstacked_input(1), True, False, axis + 1 if axis >= 0 else axis, tf.bool)
    ones = tf.ones([tf.rank(hot) - 1], tf.int32)
    on, off = (tf.reshape(stacked(given, i), tf.concat([turns_of(given), ones], 0)) for i in (2, 3))
    return wrapped([tf.where(hot, on, off)])


def _same_shapes(given: Any) -> Any:
    """Ops whose inputs are not broadcast."""
    return wrapped(emit(given.op, [stacked(given, i) for i in range(len(given.inputs))]))


vectorized("ApproximateEqual")(_same_shapes)
vectorized("Cast")(_same_shapes)  # with its way of rounding, which TensorFlow forgets


@vectorized("CheckNumerics")
def _checked(given: Any) -> Any:
    """TensorFlow refuses what is the same in all turns."""
    differs = is_stacked(given, 0)
    return wrapped(emit(given.op, [given.input(0).t]), differs)


@vectorized("ClipByValue")
def _clip(given: Any) -> Any:
    """Bounds that differ from turn to turn, or from place to place."""
    tensor, low, high = (given.input(i).t for i in range(3))
    if is_stacked(given, 0) and low.shape.rank == 0 and high.shape.rank == 0:
        return theirs(given)
    given.expanddim_inputs_for_broadcast()
    tensor, low, high = (given.input(i).t for i in range(3))
    shape = tf.broadcast_dynamic_shape(
        tf.shape(tensor), tf.concat([turns_of(given), tf.ones([tf.rank(tensor) - 1], tf.int32)], 0)
    )
    return wrapped(emit(given.op, [tf.broadcast_to(t, shape) for t in (tensor, low, high)]))


@vectorized("Equal", "NotEqual")
def _compare(given: Any) -> Any:
    one, two = (tensor.shape for tensor in given.op.inputs)
    if not given.get_attr("incompatible_shape_error") and not _fit(one, two):
        raise refused("sizes that may not fit")
    return theirs(given)


def _fit(one: tf.TensorShape, two: tf.TensorShape) -> bool:
    if one.rank is None or two.rank is None:
        return False
    pairs = zip(reversed(one.as_list()), reversed(two.as_list()), strict=False)
    return all(a == 1 or b == 1 or (a == b and a is not None) for a, b in pairs)
