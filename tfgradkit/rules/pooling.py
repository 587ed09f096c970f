"""The gradient of the gradient of max pooling.

TensorFlow's kernel for it takes the wrong elements where windows overlap the padding ("SAME",
strides shorter than the window), and XLA's packs numbers into half of their bits.
"""

from __future__ import annotations

import itertools
from typing import Any

import tensorflow as tf

from .registry import take_over


@take_over("MaxPoolGrad", "MaxPool3DGrad")
def _max_pool_grad(op: Any, upstream: tf.Tensor) -> tuple[None, None, tf.Tensor]:
    """Linear in the gradient of the results: each comes back from the first largest element of its window."""
    x, y = op.inputs[:2]
    window, strides = op.get_attr("ksize"), op.get_attr("strides")
    paddings = _paddings(op, x, y, window, strides)
    values = tf.pad(x, paddings, constant_values=x.dtype.min)
    slopes = tf.pad(upstream, paddings)
    size = tf.unstack(tf.shape(y))
    result, taken = tf.zeros_like(y), tf.zeros_like(y, tf.bool)
    for start in itertools.product(*map(range, window)):
        place = tuple(
            slice(first, first + (count - 1) * step + 1, step)
            for first, count, step in zip(start, size, strides, strict=True)
        )
        largest = tf.logical_and(tf.equal(values[place], y), tf.logical_not(taken))
        result += tf.where(largest, slopes[place], tf.zeros_like(y))
        taken = tf.logical_or(taken, largest)
    return None, None, tf.ensure_shape(result, y.shape)


def _paddings(op: Any, x: tf.Tensor, y: tf.Tensor, window: list[int], strides: list[int]) -> Any:
    kind = op.get_attr("padding")
    kind = kind.decode() if isinstance(kind, bytes) else kind
    if kind == "EXPLICIT":
        return tf.reshape(op.get_attr("explicit_paddings"), [-1, 2])
    if kind == "VALID":
        return [[0, 0]] * x.shape.rank
    needed = (tf.shape(y) - 1) * strides + window - tf.shape(x)
    total = tf.maximum(needed, 0)
    return tf.stack([total // 2, total - total // 2], 1)
