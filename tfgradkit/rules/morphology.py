"""Gradients of the gradients of grey-scale dilation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from .registry import register


@register("Dilation2DBackpropInput")
def _dilation_by_input(op: Any, upstream: tf.Tensor) -> tuple[None, None, tf.Tensor]:
    """Linear in the gradient of the results: each comes back from the place that was largest."""
    total = tf.zeros_like(op.inputs[2])
    for place, _, taken in _winners(op):
        total += tf.where(taken, place(upstream), tf.zeros_like(total))
    return None, None, total


@register("Dilation2DBackpropFilter")
def _dilation_by_filter(op: Any, upstream: tf.Tensor) -> tuple[None, None, tf.Tensor]:
    """The same, from the number of the filter."""
    total = tf.zeros_like(op.inputs[2])
    for _, at, taken in _winners(op):
        total += tf.where(taken, upstream[at], tf.zeros_like(total))
    return None, None, total


def _winners(op: Any) -> Iterator[tuple[Any, tuple[int, int], tf.Tensor]]:
    """For each number of the filter: how it looks at an image, its place, and for which results it was largest."""
    images, kernel, g = op.inputs
    strides, rates = op.get_attr("strides")[1:3], op.get_attr("rates")[1:3]
    window = [kernel.shape[a] for a in (0, 1)]
    paddings = _paddings(op, tf.shape(images), tf.shape(g), window, strides, rates)

    def seen(image: tf.Tensor, at: tuple[int, int], outside: Any) -> tf.Tensor:
        padded = tf.pad(image, paddings, constant_values=outside)
        start = [0, at[0] * rates[0], at[1] * rates[1], 0]
        size = tf.shape(g)
        end = [size[0], *(start[a + 1] + (size[a + 1] - 1) * strides[a] + 1 for a in (0, 1)), size[3]]
        return tf.strided_slice(padded, start, tf.stack(end), [1, *strides, 1])

    places = list(itertools.product(range(window[0]), range(window[1])))
    sums = [seen(images, at, images.dtype.min) + kernel[at] for at in places]
    largest = sums[0]
    for values in sums[1:]:
        largest = tf.maximum(largest, values)
    free = tf.ones_like(largest, tf.bool)
    for at, values in zip(places, sums, strict=True):
        taken = tf.logical_and(free, tf.equal(values, largest))
        free = tf.logical_and(free, tf.logical_not(taken))
        yield (lambda image, at=at: seen(image, at, 0)), at, taken


def _paddings(op: Any, given: tf.Tensor, result: tf.Tensor, window: Any, strides: Any, rates: Any) -> Any:
    kind = op.get_attr("padding")
    if kind in ("VALID", b"VALID"):
        return [[0, 0]] * 4
    reach = [(window[a] - 1) * rates[a] + 1 for a in (0, 1)]
    needed = [tf.maximum((result[a + 1] - 1) * strides[a] + reach[a] - given[a + 1], 0) for a in (0, 1)]
    return tf.stack([[0, 0], *([n // 2, n - n // 2] for n in needed), [0, 0]])
