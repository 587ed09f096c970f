"""Gradients of ops that copy, select or reorder numbers, and of remainders."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import SHIPPED, attributes, enable, register, take_over


@register("Mod", "TruncateMod")
def _truncated_remainder(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """x − y·trunc(x/y)."""
    x, y = op.inputs
    return [sum_to_shape_of(upstream, x), sum_to_shape_of(-upstream * tf.cast(tf.truncatediv(x, y), x.dtype), y)]


def sum_to_shape_of(gradient: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """``gradient`` summed over the axes along which ``x`` was broadcast."""
    if x.shape.is_fully_defined() and gradient.shape.is_fully_defined() and x.shape == gradient.shape:
        return gradient
    _, axes = _broadcast_axes(tf.shape(gradient), tf.shape(x))
    return tf.reshape(tf.reduce_sum(gradient, axes), tf.shape(x))


def _broadcast_axes(wide: tf.Tensor, narrow: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.raw_ops.BroadcastGradientArgs(s0=wide, s1=narrow)


@register("Snapshot", "Copy", "CopyHost", "DeepCopy")
def _copy(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    return upstream


@register("InplaceAdd", "InplaceSub")
def _inplace_add(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, tf.Tensor]:
    """x with v added to its rows i."""
    rows = tf.gather(upstream, op.inputs[1])
    return upstream, None, rows if op.type == "InplaceAdd" else -rows


@register("InplaceUpdate")
def _inplace_update(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, tf.Tensor]:
    """x with v in place of its rows i; the last of several v for a row."""
    _, rows, v = op.inputs
    count = tf.shape(rows)[0]
    owners = tf.raw_ops.InplaceUpdate(x=tf.fill([tf.shape(upstream)[0]], count), i=rows, v=tf.range(count))
    kept = tf.cast(tf.equal(owners, count), upstream.dtype)
    written = tf.math.unsorted_segment_sum(upstream, owners, count + 1)[:count]
    return upstream * along_first(kept, upstream), None, tf.ensure_shape(written, v.shape)


def along_first(vector: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """``vector`` with axes of length 1 after it, of the rank of ``like``."""
    ones = tf.ones([tf.rank(like) - tf.rank(vector)], tf.int32)
    return tf.reshape(vector, tf.concat([tf.shape(vector), ones], 0))


@register("ParallelConcat")
def _parallel_concat(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    return [upstream[i : i + 1] for i in range(len(op.inputs))]


@register("ListDiff")
def _list_diff(op: Any, upstream: tf.Tensor, _: Any) -> tuple[tf.Tensor, None]:
    x, where = op.inputs[0], op.outputs[1]
    return tf.math.unsorted_segment_sum(upstream, where, tf.size(x)), None


@register("Unique", "UniqueWithCounts")
def _unique(op: Any, upstream: tf.Tensor, *_: Any) -> tf.Tensor:
    """The gradient goes to the first of equal numbers."""
    return _to_first(upstream, op.outputs[1])


@register("UniqueV2", "UniqueWithCountsV2")
def _unique_along(op: Any, upstream: tf.Tensor, *_: Any) -> tuple[tf.Tensor, None]:
    """The same along one axis: the gradient goes to the first of equal slices."""
    x, axis = op.inputs
    axis = tf.get_static_value(axis)
    if axis is None:
        raise NotImplementedError("the gradient of UniqueV2 by an axis that only the run knows")
    first = int(axis[0]) % x.shape.rank if len(axis) else 0
    order = [first, *(a for a in range(x.shape.rank) if a != first)]
    gradient = _to_first(tf.transpose(upstream, order), op.outputs[1])
    return tf.transpose(gradient, [order.index(a) for a in range(x.shape.rank)]), None


def _to_first(upstream: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Rows of ``upstream`` at the first place of each of ``ids``, zeros elsewhere."""
    count = tf.shape(ids)[0]
    places = tf.range(count)
    firsts = tf.math.unsorted_segment_min(places, ids, tf.shape(upstream)[0])
    return tf.math.unsorted_segment_sum(upstream, firsts, count)


@register("StatelessShuffle")
def _stateless_shuffle(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    """The same seed shuffles the rows' numbers in the same way, which says where each row went."""
    x, *seed = op.inputs
    count = tf.shape(x)[0]
    names = ("key", "counter", "alg")
    places = tf.raw_ops.StatelessShuffle(value=tf.range(count), **dict(zip(names, seed, strict=True)))
    return tf.math.unsorted_segment_sum(upstream, places, count), *[None] * len(seed)


@take_over("DynamicStitch", "ParallelDynamicStitch")
def _dynamic_stitch(op: Any, upstream: tf.Tensor) -> list[Any]:
    """A row's gradient goes to the last that was written to it: their numbers, stitched alike, say who that is."""
    count = len(op.inputs) // 2
    places, values = op.inputs[:count], op.inputs[count:]
    sizes = [tf.size(place) for place in places]
    ends = tf.cumsum(sizes)
    numbers = [tf.reshape(tf.range(ends[i] - sizes[i], ends[i]), tf.shape(place)) for i, place in enumerate(places)]
    written = tf.raw_ops.DynamicStitch(indices=places, data=numbers)
    gradients = []
    for place, number, value in zip(places, numbers, values, strict=True):
        rows = tf.gather(upstream, place)
        there = along_first(tf.equal(tf.gather(written, place), number), rows)
        gradients.append(tf.ensure_shape(tf.where(there, rows, tf.zeros_like(rows)), value.shape))
    return [None] * count + gradients


@enable("LinSpace")
def _lin_space(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, None]:
    """start + (stop − start) i/(n−1): no input is needed, and a tape has kept none."""
    count = tf.size(upstream)
    share = tf.cast(tf.range(count), upstream.dtype) / tf.cast(tf.maximum(count - 1, 1), upstream.dtype)
    return tf.reduce_sum(upstream * (1 - share)), tf.reduce_sum(upstream * share), None


@enable("Range")
def _range(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, tf.Tensor]:
    """start + i·delta; the limit only sets the number of elements."""
    steps = tf.cast(tf.range(tf.size(upstream)), upstream.dtype)
    return tf.reduce_sum(upstream), None, tf.reduce_sum(upstream * steps)


def _alignment(op: Any) -> str:
    """Where diagonals shorter than the longest stand; the second versions have them at the left, always."""
    align: str = attributes(op, "align")["align"] if op.type.endswith("V3") else "LEFT_LEFT"
    return align


def _skips(op: Any, place: int) -> bool:
    return place in (getattr(op, "skip_input_indices", None) or ())


@take_over("MatrixDiagV2", "MatrixDiagV3")
def _diagonals(op: Any, upstream: tf.Tensor) -> list[Any]:
    """By the value around, too, for which TensorFlow gives None. Of the inputs, a tape keeps k alone."""
    k, sizes, align = op.inputs[1], tf.shape(upstream), _alignment(op)
    by_diagonals = tf.linalg.diag_part(upstream, k=k, align=align)
    if _skips(op, 4):
        return [by_diagonals, None, None, None, None]
    one = tf.ones([], upstream.dtype)
    around = tf.linalg.diag(
        tf.zeros_like(by_diagonals), k=k, num_rows=sizes[-2], num_cols=sizes[-1], padding_value=one, align=align
    )
    return [by_diagonals, None, None, None, tf.reduce_sum(upstream * around)]


@take_over("MatrixDiagPartV2", "MatrixDiagPartV3")
def _diagonal_parts(op: Any, upstream: tf.Tensor) -> list[Any]:
    """By the value that fills short diagonals, too."""
    matrix, k = op.inputs[:2]
    align = _alignment(op)
    rows, columns = matrix.shape[-2:] if matrix.shape.rank is not None else (None, None)
    if rows is None or columns is None:
        by_matrix = tf.linalg.set_diag(tf.zeros_like(matrix), upstream, k=k, align=align)
    else:
        by_matrix = tf.linalg.diag(upstream, k=k, num_rows=rows, num_cols=columns, align=align)
    if _skips(op, 2):
        return [by_matrix, None, None]
    one = tf.ones([], upstream.dtype)
    filled = tf.linalg.diag_part(tf.zeros_like(by_matrix), k=k, padding_value=one, align=align)
    return [by_matrix, None, tf.reduce_sum(upstream * filled)]


@take_over("MatrixSetDiagV2")
def _set_diagonals(op: Any, upstream: tf.Tensor) -> list[Any]:
    """TensorFlow reads several diagonals as the third version aligns them."""
    k = op.inputs[2]
    by_diagonals = tf.linalg.diag_part(upstream, k=k, align="LEFT_LEFT")
    by_matrix = tf.linalg.set_diag(upstream, tf.zeros_like(by_diagonals), k=k, align="LEFT_LEFT")
    return [by_matrix, by_diagonals, None]


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> tf.Tensor:
    """As ``keras.ops.slice_update``: ``updates`` in place of a part of ``inputs``, moved to where it fits."""
    x = tf.convert_to_tensor(inputs)
    updates = tf.convert_to_tensor(updates, x.dtype)
    room = tf.shape(x) - tf.shape(updates)
    before = tf.clip_by_value(tf.cast(tf.convert_to_tensor(start_indices), tf.int32), 0, room)
    paddings = tf.stack([before, room - before], 1)
    inside = tf.pad(tf.ones(tf.shape(updates), tf.bool), paddings)
    return tf.ensure_shape(tf.where(inside, tf.pad(updates, paddings), x), x.shape)


@take_over("PadV2")
def _pad(op: Any, upstream: tf.Tensor) -> list[Any]:
    """By the value around, too, for which TensorFlow gives None."""
    x, paddings, _ = op.inputs
    by_x = tf.slice(upstream, paddings[:, 0], tf.shape(x))
    if 2 in (getattr(op, "skip_input_indices", None) or ()):
        return [by_x, None, None]
    outside = tf.pad(tf.zeros_like(x), paddings, constant_values=1)
    return [by_x, None, tf.reduce_sum(upstream * outside)]


@take_over("TensorScatterUpdate")
def _scatter_update(op: Any, upstream: tf.Tensor) -> list[Any]:
    """Of several updates of one place the last stays, whose number is found by scattering numbers alike."""
    _, indices, updates = op.inputs
    places = tf.shape(indices)[:-1]
    numbers = tf.reshape(tf.range(1, tf.reduce_prod(places) + 1), places)
    written = tf.tensor_scatter_nd_update(
        tf.zeros(tf.shape(upstream)[: tf.shape(indices)[-1]], tf.int32), indices, numbers
    )
    there = tf.equal(tf.gather_nd(written, indices), numbers)
    rows = tf.gather_nd(upstream, indices)
    by_updates = tf.where(_over(there, rows), rows, tf.zeros_like(rows))
    by_x = tf.where(_over(tf.equal(written, 0), upstream), upstream, tf.zeros_like(upstream))
    return [by_x, None, tf.ensure_shape(by_updates, updates.shape)]


def _over(mask: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """A mask of the first axes, with an axis of size 1 for each other one."""
    return tf.reshape(mask, tf.concat([tf.shape(mask), tf.ones([tf.rank(like) - tf.rank(mask)], tf.int32)], 0))


@take_over("TensorListGather")
def _list_gather(op: Any, upstream: tf.Tensor) -> Any:
    """``TensorArray.gather``. TensorFlow's keeps the last of the rows that an element gave; here each has their sum."""
    handle, indices, _ = op.inputs
    sums = tf.math.unsorted_segment_sum(upstream, indices, tf.raw_ops.TensorListLength(input_handle=handle))
    return SHIPPED[op.type].replaces(op, tf.gather(sums, indices))


@take_over("TensorListScatter", "TensorListScatterV2", "TensorListScatterIntoExistingList")
def _list_scatter(op: Any, upstream: tf.Tensor) -> list[Any]:
    """``TensorArray.scatter``. Of several rows that were written to a place, only the last is there."""
    place = int(op.type == "TensorListScatterIntoExistingList")
    indices = op.inputs[place + 1]
    grads = list(SHIPPED[op.type].replaces(op, upstream))
    numbers = tf.range(tf.size(indices))
    written = tf.dynamic_stitch([indices], [numbers])
    last = along_first(tf.equal(tf.gather(written, indices), numbers), grads[place])
    grads[place] = tf.where(last, grads[place], tf.zeros_like(grads[place]))
    return grads
