"""Gradients of ops on sparse and ragged tensors by their values, of sparse segments' gradients, and of counts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import register, take_over, withdraw


def _positions(among: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """For each number of ``wanted`` its place in the vector ``among``, if it is there."""
    order = tf.argsort(among)
    place = tf.searchsorted(tf.gather(among, order), wanted)
    return tf.gather(tf.pad(order, [[0, 1]]), place)


def _matches(among: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The places as of :func:`_positions`, and whether each number is there at all."""
    place = _positions(among, wanted)
    # One past the end is -1, which is never wanted.
    return place, tf.equal(tf.gather(tf.pad(among, [[0, 1]], constant_values=-1), place), wanted)


@register("SparseReduceMax")
def _reduce_max(op: Any, upstream: tf.Tensor) -> tuple[None, tf.Tensor, None, None]:
    """In equal parts to all elements that are the largest, as for a dense maximum."""
    indices, values, shape, axes = op.inputs
    rank = tf.size(shape)
    kept = tf.cast(tf.reduce_all(tf.not_equal(tf.range(rank)[:, None], axes[None] % rank), 1), tf.int64)
    ids = _flat_index(indices * kept, shape * kept + 1 - kept)
    return None, _to_largest(values, op.outputs[0], upstream, ids), None, None


@register("SparseReduceMaxSparse")
def _reduce_max_sparse(op: Any, _: Any, upstream: tf.Tensor, __: Any) -> tuple[None, tf.Tensor, None, None]:
    return None, _to_largest(op.inputs[1], op.outputs[1], upstream, _reduced_rows(op)), None, None


@register("SparseReduceSumSparse")
def _reduce_sum_sparse(op: Any, _: Any, upstream: tf.Tensor, __: Any) -> tuple[None, tf.Tensor, None, None]:
    return None, tf.gather(upstream, _reduced_rows(op)), None, None


def _to_largest(values: tf.Tensor, largest: tf.Tensor, upstream: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    largest, upstream = tf.reshape(largest, [-1]), tf.reshape(upstream, [-1])
    chosen = tf.cast(tf.equal(values, tf.gather(largest, ids)), values.dtype)
    shares = tf.math.divide_no_nan(upstream, tf.math.unsorted_segment_sum(chosen, ids, tf.size(upstream)))
    return chosen * tf.gather(shares, ids)


def _flat_index(indices: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """One number for each index, in row-major order."""
    strides = tf.math.cumprod(shape, exclusive=True, reverse=True)
    return tf.reduce_sum(indices * strides, -1)


def _reduced_rows(op: Any) -> tf.Tensor:
    """For each entry, its row in the sparse result."""
    indices, _, shape, axes = op.inputs
    rank = tf.size(shape)
    kept = tf.where(tf.reduce_all(tf.not_equal(tf.range(rank)[:, None], axes[None] % rank), 1))[:, 0]
    found, sizes = op.outputs[0], op.outputs[2]
    # With keep_dims the result has the reduced axes, too, with index 0.
    columns = kept if op.get_attr("keep_dims") else tf.range(tf.cast(tf.size(kept), tf.int64))
    short = tf.gather(sizes, columns)
    return _positions(
        _flat_index(tf.gather(found, columns, axis=1), short), _flat_index(tf.gather(indices, kept, axis=1), short)
    )


@take_over("SparseAdd")
def _add(op: Any, _: Any, upstream: tf.Tensor, __: Any) -> tuple[Any, ...]:
    """To each entry what its place in the sum got; an entry that fell below the threshold has none.

    TensorFlow's is an op of its own, without a gradient.
    """
    summed = op.outputs[0]
    return (
        None,
        _of_places(op.inputs[0], summed, upstream),
        None,
        None,
        _of_places(op.inputs[3], summed, upstream),
        *[None] * 2,
    )


def _of_places(entries: tf.Tensor, among: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """For each entry the gradient of the one at its place, if there is one."""
    shape = tf.reduce_max(tf.concat([entries, among], 0), 0) + 1
    rows, found = _matches(_flat_index(among, shape), _flat_index(entries, shape))
    return tf.gather(tf.pad(upstream, [[0, 1]]), rows) * tf.cast(found, upstream.dtype)


@take_over("SparseDenseCwiseMul", "SparseDenseCwiseDiv")
def _sparse_by_dense(op: Any, upstream: tf.Tensor) -> tuple[None, tf.Tensor, None, tf.Tensor]:
    """By each entry, and by the number that it met; TensorFlow's fails for a dense scalar, as in ``sparse / 2``."""
    indices, values, shape, dense = op.inputs
    sizes = tf.cast(tf.shape(dense), tf.int64)
    at = indices[:, tf.size(shape) - tf.size(sizes) :]
    # A size of 1 is broadcast.
    place = _flat_index(tf.where(sizes == 1, tf.zeros_like(at), at), sizes)
    flat = tf.reshape(dense, [-1])
    met = tf.gather(flat, place)
    by_values, by_met = (met, values) if op.type == "SparseDenseCwiseMul" else (1 / met, -values / met**2)
    summed = tf.math.unsorted_segment_sum(upstream * tf.math.conj(by_met), place, tf.size(flat))
    return None, upstream * tf.math.conj(by_values), None, tf.reshape(summed, tf.shape(dense))


withdraw("SparseDenseCwiseAdd", "SparseSparseMaximum", "SparseSparseMinimum")


@take_over("SparseSoftmax")
def _softmax(op: Any, upstream: tf.Tensor) -> tuple[None, tf.Tensor, None]:
    """y (u − Σ y u) row by row. TensorFlow's has an op whose gradient is missing."""
    indices, _, shape = op.inputs
    y, rows = op.outputs[0], _flat_index(indices[:, :-1], shape[:-1])
    sums = tf.math.unsorted_segment_sum(y * upstream, rows, tf.reduce_prod(shape[:-1]))
    return None, y * (upstream - tf.gather(sums, rows)), None


@register("SparseSplit")
def _split(op: Any, *upstream: Any) -> tuple[None, None, tf.Tensor, None]:
    """Each part has its entries in their order, so the parts one after another are a permutation of all."""
    axis, indices, _, _ = op.inputs
    count = op.get_attr("num_split")
    given, sizes = upstream[count : 2 * count], op.outputs[2 * count :]
    starts = tf.cumsum(tf.stack([tf.gather(size, axis) for size in sizes]))
    part = tf.searchsorted(starts, tf.gather(indices, axis, axis=1), side="right")
    order = tf.argsort(part, stable=True)
    return None, None, tf.math.unsorted_segment_sum(tf.concat(given, 0), order, tf.size(part)), None


@register("SparseSliceGrad")
def _slice_grad(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
    """The op puts each entry of the slice's gradient at its place among all entries; here it is taken from there."""
    _, entries, start, taken = op.inputs
    shape = tf.reduce_max(tf.concat([entries, taken + start], 0), 0) + 1
    rows = _positions(_flat_index(entries, shape), _flat_index(taken + start, shape))
    return tf.gather(upstream, rows), None, None, None


@register("SparseFillEmptyRowsGrad", "RaggedFillEmptyRowsGrad")
def _fill_empty_rows_grad(op: Any, by_values: tf.Tensor, by_default: tf.Tensor) -> tuple[None, tf.Tensor]:
    """The op sorts gradients into those of values, by a map, and a sum of the others."""
    rows, g = op.inputs
    count = tf.size(g)
    mapped = tf.math.unsorted_segment_sum(tf.ones_like(rows, g.dtype), rows, count)
    return None, tf.math.unsorted_segment_sum(by_values, rows, count) + (1 - mapped) * by_default


_SEGMENTS = {
    "SparseSegmentSumGrad": tf.raw_ops.SparseSegmentSumWithNumSegments,
    "SparseSegmentMeanGrad": tf.raw_ops.SparseSegmentMeanWithNumSegments,
    "SparseSegmentSqrtNGrad": tf.raw_ops.SparseSegmentSqrtNWithNumSegments,
}


@register(*_SEGMENTS)
def _segment_grad(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
    """The adjoint of the adjoint: the reduction itself."""
    g, rows, ids, _ = op.inputs
    return _reduce_segments(op.type, upstream, rows, ids, g), None, None, None


@register(*(f"{name}V2" for name in _SEGMENTS))
def _segment_grad_of_some(op: Any, upstream: tf.Tensor, _: Any) -> tuple[tf.Tensor, None, None, None]:
    """The same, for the rows alone that are used."""
    g, rows, ids, _ = op.inputs
    rows = _positions(op.outputs[1], rows)
    return _reduce_segments(op.type.removesuffix("V2"), upstream, rows, ids, g), None, None, None


def _reduce_segments(kind: str, data: tf.Tensor, rows: tf.Tensor, ids: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    reduce = _SEGMENTS[kind]
    return reduce(data=data, indices=rows, segment_ids=ids, num_segments=tf.shape(like)[0])


@register("Bincount")
def _bincount(op: Any, upstream: tf.Tensor) -> tuple[None, None, tf.Tensor]:
    values, _, weights = op.inputs
    return None, None, tf.reshape(_gather_counts(upstream, tf.reshape(values, [-1])), tf.shape(weights))


@register("DenseBincount")
def _dense_bincount(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    """Each weight went to its number's place, in its row; numbers beyond the size to none."""
    values, _, weights = op.inputs
    if op.get_attr("binary_output"):
        return None, None, None
    if values.shape.rank == 1:
        return None, None, tf.reshape(_gather_counts(upstream, values)[: tf.size(weights)], tf.shape(weights))
    rows = tf.broadcast_to(tf.range(tf.shape(values)[0])[:, None], tf.shape(values))
    return None, None, _by_weights(upstream, tf.reshape(rows, [-1]), tf.reshape(values, [-1]), weights)


@register("SparseBincount")
def _sparse_bincount(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    indices, values, _, _, weights = op.inputs
    if op.get_attr("binary_output"):
        return (None,) * 5
    if upstream.shape.rank == 1:
        return *[None] * 4, tf.reshape(_gather_counts(upstream, values)[: tf.size(weights)], tf.shape(weights))
    return *[None] * 4, _by_weights(upstream, indices[:, 0], values, weights)


@register("RaggedBincount")
def _ragged_bincount(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    splits, values, _, weights = op.inputs
    if op.get_attr("binary_output"):
        return None, None, None, None
    return None, None, None, _by_weights(upstream, _ragged_rows(splits, values), values, weights)


def _ragged_rows(splits: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    return tf.searchsorted(splits[1:], tf.range(tf.size(values, splits.dtype)), side="right")


def _by_weights(upstream: tf.Tensor, rows: tf.Tensor, values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The gradient at (row, value) for each weight; there may be none at all."""
    size = tf.shape(upstream)[1]
    row, value = tf.cast(rows, tf.int64), tf.cast(values, tf.int64)
    inside = value < tf.cast(size, tf.int64)
    place = row * tf.cast(size, tf.int64) + tf.where(inside, value, 0)
    found = tf.gather(tf.reshape(upstream, [-1]), place) * tf.cast(inside, upstream.dtype)
    return tf.reshape(found[: tf.size(weights)], tf.shape(weights))


def _gather_counts(upstream: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    inside = values < tf.cast(tf.size(upstream), values.dtype)
    return tf.gather(upstream, tf.where(inside, values, 0)) * tf.cast(inside, upstream.dtype)


@register("DenseCountSparseOutput")
def _dense_count(op: Any, _: Any, upstream: tf.Tensor, __: Any) -> tuple[None, Any]:
    """The weights of equal numbers of a row are summed into one entry."""
    values, weights = op.inputs
    flat = tf.reshape(values, [-1])
    rows = None
    if values.shape.rank == 2:
        counted = tf.broadcast_to(tf.range(tf.shape(values)[0])[:, None], tf.shape(values))
        rows = tf.reshape(counted, [-1])
    return None, _by_counted_weights(op, upstream, rows, flat, weights)


@register("SparseCountSparseOutput")
def _sparse_count(op: Any, _: Any, upstream: tf.Tensor, __: Any) -> tuple[Any, ...]:
    indices, values, _, weights = op.inputs
    rows = indices[:, 0] if indices.shape[1] == 2 else None
    return None, None, None, _by_counted_weights(op, upstream, rows, values, weights)


@register("RaggedCountSparseOutput")
def _ragged_count(op: Any, _: Any, upstream: tf.Tensor, __: Any) -> tuple[Any, ...]:
    splits, values, weights = op.inputs
    return None, None, _by_counted_weights(op, upstream, _ragged_rows(splits, values), values, weights)


def _by_counted_weights(
    op: Any, upstream: tf.Tensor, rows: Any, values: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor | None:
    if op.get_attr("binary_output"):
        return None
    places, shape = op.outputs[0], op.outputs[2]
    columns = [tf.cast(values, tf.int64)] if rows is None else [tf.cast(rows, tf.int64), tf.cast(values, tf.int64)]
    wanted = tf.stack(columns, 1)
    inside = tf.reduce_all(wanted < shape, 1)
    row, found = _matches(_flat_index(places, shape), _flat_index(tf.where(inside[:, None], wanted, 0), shape))
    kept = tf.cast(tf.logical_and(inside, found), upstream.dtype)
    safe = tf.pad(upstream, [[0, 1]])  # there may be no entry at all
    return tf.reshape((tf.gather(safe, row) * kept)[: tf.size(weights)], tf.shape(weights))
