"""Gradients of the gradients of pooling: maxima, fractional pooling (Graham 2014), and grey-scale dilation.

TensorFlow's kernel for the gradient of ``MaxPoolGrad`` takes the wrong elements where windows overlap the padding
("SAME", strides shorter than the window), and XLA's packs numbers into half of their bits. The cells of fractional
pooling are given by their bounds. Dilation is a maximum, too: of an image plus a filter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from ..registry import attribute, register, take_over


@take_over("MaxPoolGrad", "MaxPool3DGrad")
def _max_pool_grad(op: Any, upstream: tf.Tensor) -> tuple[None, None, tf.Tensor]:
    """Linear in the gradient of the results: each takes the tangent of the first largest element of its window."""
    x, y = op.inputs[:2]
    window, strides = op.get_attr("ksize"), op.get_attr("strides")
    paddings = _paddings(op, x, y, window, strides)
    values = tf.pad(x, paddings, constant_values=x.dtype.min)
    tangents = tf.pad(upstream, paddings)
    size = tf.unstack(tf.shape(y))
    result, taken = tf.zeros_like(y), tf.zeros_like(y, tf.bool)
    for start in itertools.product(*map(range, window)):
        place = tuple(
            slice(first, first + (count - 1) * step + 1, step)
            for first, count, step in zip(start, size, strides, strict=True)
        )
        largest = tf.logical_and(tf.equal(values[place], y), tf.logical_not(taken))
        result += tf.where(largest, tangents[place], tf.zeros_like(y))
        taken = tf.logical_or(taken, largest)
    return None, None, tf.ensure_shape(result, y.shape)


def _paddings(op: Any, x: tf.Tensor, y: tf.Tensor, window: list[int], strides: list[int]) -> Any:
    kind = attribute(op, "padding")
    if kind == "EXPLICIT":
        return tf.reshape(op.get_attr("explicit_paddings"), [-1, 2])
    if kind == "VALID":
        return [[0, 0]] * x.shape.rank
    needed = (tf.shape(y) - 1) * strides + window - tf.shape(x)
    total = tf.maximum(needed, 0)
    return tf.stack([total // 2, total - total // 2], 1)


@register("MaxPoolGradWithArgmax")
def _max_pool_grad_with_argmax(op: Any, upstream: tf.Tensor) -> tuple[None, tf.Tensor, None]:
    """The gradient goes to the largest element, so its own gradient comes from that element."""
    _, g, largest = op.inputs
    if op.get_attr("include_batch_in_index"):
        return None, tf.reshape(tf.gather(tf.reshape(upstream, [-1]), largest), tf.shape(g)), None
    batch = tf.shape(g)[0]
    rows, columns = tf.reshape(upstream, [batch, -1]), tf.reshape(largest, [batch, -1])
    return None, tf.reshape(tf.gather(rows, columns, batch_dims=1), tf.shape(g)), None


@register("FractionalAvgPoolGrad")
def _fractional_avg_pool_grad(op: Any, upstream: tf.Tensor) -> tuple[None, tf.Tensor, None, None]:
    """The mean over rows and columns apart: a matrix for each."""
    # The shape that TensorFlow infers for the bounds of n cells has n numbers; there are n + 1.
    bounds = [tf.raw_ops.PlaceholderWithDefault(input=b, shape=[None]) for b in op.inputs[2:]]
    means = [_mean_matrix(b, tf.shape(upstream)[a + 1], op, upstream.dtype) for a, b in enumerate(bounds)]
    return None, tf.einsum("bijc,pi,qj->bpqc", upstream, *means), None, None


def _mean_matrix(bounds: tf.Tensor, size: tf.Tensor, op: Any, dtype: tf.DType) -> tf.Tensor:
    place = tf.range(tf.cast(size, bounds.dtype))
    first, end = bounds[:-1, None], bounds[1:, None] + int(op.get_attr("overlapping"))
    inside = tf.cast(tf.logical_and(place >= first, place < end), dtype)
    return inside / tf.reduce_sum(inside, 1, keepdims=True)


@register("FractionalMaxPoolGrad")
def _fractional_max_pool_grad(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    """Gradients that number the results say which pixel each result came from.

    Overlapping cells may share their largest pixel, but no two cells whose rows have the same parity, and whose columns
    have: these are taken together.
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


@register("Dilation2DBackpropInput")
def _dilation_by_input(op: Any, upstream: tf.Tensor) -> tuple[None, None, tf.Tensor]:
    """Linear in the gradient of the results: each result takes the tangent of its largest place."""
    total = tf.zeros_like(op.inputs[2])
    for place, _, taken in _winners(op):
        total += tf.where(taken, place(upstream), tf.zeros_like(total))
    return None, None, total


@register("Dilation2DBackpropFilter")
def _dilation_by_filter(op: Any, upstream: tf.Tensor) -> tuple[None, None, tf.Tensor]:
    """The same, with the tangent of the filter."""
    total = tf.zeros_like(op.inputs[2])
    for _, at, taken in _winners(op):
        total += tf.where(taken, upstream[at], tf.zeros_like(total))
    return None, None, total


def _winners(op: Any) -> Iterator[tuple[Any, tuple[int, int], tf.Tensor]]:
    """For each number of the filter: a function to the image's part under it, its place, and the results it decides."""
    images, kernel, g = op.inputs
    strides, rates = op.get_attr("strides")[1:3], op.get_attr("rates")[1:3]
    window = [kernel.shape[a] for a in (0, 1)]
    paddings = _dilation_paddings(op, tf.shape(images), tf.shape(g), window, strides, rates)

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


def _dilation_paddings(op: Any, given: tf.Tensor, result: tf.Tensor, window: Any, strides: Any, rates: Any) -> Any:
    if attribute(op, "padding") == "VALID":
        return [[0, 0]] * 4
    reach = [(window[a] - 1) * rates[a] + 1 for a in (0, 1)]
    needed = [tf.maximum((result[a + 1] - 1) * strides[a] + reach[a] - given[a + 1], 0) for a in (0, 1)]
    return tf.stack([[0, 0], *([n // 2, n - n // 2] for n in needed), [0, 0]])
