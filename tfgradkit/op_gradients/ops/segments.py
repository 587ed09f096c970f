"""Gradients of reductions of segments: products with any number of zeros, and segments without elements.

TensorFlow's divide a product by its elements, and a gradient by the number of a segment's elements: where that is
zero its transpose, forward mode, is not a number.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import register, take_over
from .arrays import along_first
from .cumulative import moved, shifts


@register("SegmentSumV2")
def _segment_sum(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
    return tf.gather(upstream, op.inputs[1]), None, None


@take_over("SegmentMean")
def _segment_mean(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    ids = op.inputs[1]
    counts = tf.maximum(tf.math.segment_sum(tf.ones_like(ids), ids), 1)
    return tf.gather(upstream / along_first(tf.cast(counts, upstream.dtype), upstream), ids), None


@take_over("SegmentMax", "SegmentMin")
def _segment_extreme(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """Equal parts to all elements that are the largest."""
    data, ids = op.inputs
    chosen = tf.equal(data, tf.gather(op.outputs[0], ids))
    counts = tf.math.segment_sum(tf.cast(chosen, upstream.dtype), ids)
    return _shared(upstream, chosen, counts, ids), None


@register("SegmentMaxV2", "SegmentMinV2")
def _segment_extreme_of_count(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
    """As for ``SegmentMax``; of unsorted ids, too, as XLA takes them."""
    data, ids, count = op.inputs
    chosen = tf.equal(data, tf.gather(op.outputs[0], ids))
    counts = tf.math.unsorted_segment_sum(tf.cast(chosen, upstream.dtype), ids, count)
    return _shared(upstream, chosen, counts, ids), None, None


@take_over("UnsortedSegmentMax", "UnsortedSegmentMin")
def _unsorted_segment_extreme(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
    """As for ``SegmentMax``; elements with a negative id are in no segment."""
    data, ids, count = op.inputs
    places = tf.maximum(ids, 0)
    chosen = tf.equal(data, tf.gather(op.outputs[0], places)) & along_first(ids >= 0, data)
    counts = tf.math.unsorted_segment_sum(tf.cast(chosen, upstream.dtype), ids, count)
    return _shared(upstream, chosen, counts, places), None, None


def _shared(upstream: tf.Tensor, chosen: tf.Tensor, counts: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    shares = tf.gather(upstream / tf.maximum(counts, tf.ones([], counts.dtype)), ids)
    return tf.where(chosen, shares, tf.zeros_like(shares))


@take_over("SegmentProd")
def _segment_product(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    data, ids = op.inputs
    return tf.gather(upstream, ids) * _others(tf.math.conj(data), ids), None


@register("SegmentProdV2")
@take_over("UnsortedSegmentProd")
def _unsorted_segment_product(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
    data, ids, _ = op.inputs
    there = tf.gather(upstream, tf.maximum(ids, 0)) * _others(tf.math.conj(data), ids)
    return tf.where(along_first(ids >= 0, data), there, tf.zeros_like(there)), None, None


def _others(x: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """For each element the product of the others of its segment: of those before and after it, in sorted order."""
    flat = tf.reshape(ids, [-1])
    order = tf.argsort(flat, stable=True)
    ordered = tf.gather(flat, order)
    rows = tf.reshape(x, [1, flat.shape[0] or tf.size(flat), tf.size(x) // tf.maximum(tf.size(flat), 1)])
    rows = tf.gather(rows, order, axis=1)
    product = _neighbours(rows, ordered, back=True) * _neighbours(rows, ordered, back=False)
    return tf.reshape(tf.gather(product, tf.math.invert_permutation(order), axis=1), tf.shape(x))


def _neighbours(rows: tf.Tensor, ids: tf.Tensor, *, back: bool) -> tf.Tensor:
    """The product of all elements of the segment that come before, or after: of 1, 2, 4, … of them."""
    product = _moved_within(rows, ids, 1, back=back)
    for shift in shifts(rows.shape[1]):
        product *= _moved_within(product, ids, shift, back=back)
    return product


def _moved_within(x: tf.Tensor, ids: tf.Tensor, by: int, *, back: bool) -> tf.Tensor:
    """The elements ``by`` places before or after, ones where those are of another segment."""
    # Numbered from 2, so that the zeros at the end are none of them.
    numbers = tf.maximum(ids, -1)[None, :, None] + 2
    same = tf.equal(moved(numbers, by, back=back), numbers)
    return tf.where(same, moved(x, by, back=back), tf.ones([], x.dtype))
