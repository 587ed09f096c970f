"""Gradients of the gradients of fractional pooling (Graham 2014), whose cells are given by their bounds."""

from __future__ import annotations

import itertools
from typing import Any

import tensorflow as tf

from .registry import register


@register("FractionalAvgPoolGrad")
def _fractional_avg_pool_grad(op: Any, upstream: tf.Tensor) -> tuple[None, tf.Tensor, None, None]:
    """The mean over rows and columns apart: a matrix for each."""
    bounds = op.inputs[2:]
    means = [_mean(b, tf.shape(upstream)[a + 1], op, upstream.dtype) for a, b in enumerate(bounds)]
    return None, tf.einsum("bijc,pi,qj->bpqc", upstream, *means), None, None


def _mean(bounds: tf.Tensor, size: tf.Tensor, op: Any, dtype: tf.DType) -> tf.Tensor:
    place = tf.range(tf.cast(size, bounds.dtype))
    first, end = bounds[:-1, None], bounds[1:, None] + int(op.get_attr("overlapping"))
    inside = tf.cast(tf.logical_and(place >= first, place < end), dtype)
    return inside / tf.reduce_sum(inside, 1, keepdims=True)


@register("FractionalMaxPoolGrad")
def _fractional_max_pool_grad(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    """The gradients of the results' numbers say from where each result came.

    Cells that overlap may have a largest pixel in common; of those whose rows and columns are alike
    even or odd, no two do.
    """
    images, results, g, rows, columns = op.inputs
    count = tf.size(results)
    numbers = tf.reshape(tf.range(1, count + 1), tf.shape(results))
    parts = 2 if op.get_attr("overlapping") else 1
    total = tf.zeros([count + 1], g.dtype)
    for row, column in itertools.product(range(parts), repeat=2):
        even = tf.range(tf.shape(results)[1]) % parts == row
        alike = tf.logical_and(even[:, None], tf.range(tf.shape(results)[2]) % parts == column)
        chosen = tf.where(alike[None, :, :, None], numbers, 0)
        owners = tf.raw_ops.FractionalMaxPoolGrad(
            orig_input=tf.cast(images, tf.float64), orig_output=tf.cast(results, tf.float64),
            out_backprop=tf.cast(chosen, tf.float64), row_pooling_sequence=rows, col_pooling_sequence=columns,
            overlapping=op.get_attr("overlapping"),
        )  # fmt: skip
        owner = tf.reshape(tf.cast(owners, tf.int32), [-1])
        total += tf.math.unsorted_segment_sum(tf.reshape(upstream, [-1]), owner, count + 1)
    return None, None, tf.reshape(total[1:], tf.shape(g)), None, None
