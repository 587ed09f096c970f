"""The gradient of ``ImageProjectiveTransform`` (rotating, shearing, warping) by the image.

TensorFlow's rule transforms what comes from above by the inverse, which is not the adjoint: where
pixels are interpolated, and at the borders, it is another number. Here it is the adjoint itself.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .registry import take_over


@take_over("ImageProjectiveTransformV2", "ImageProjectiveTransformV3")
def _projective_transform(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    """Each pixel of the result is a weighted sum of up to four neighbours, whose rows and columns differ in parity.

    So the transforms of four masks, one a parity, are the weights; those of the masked numbers of rows
    and columns, divided by the weights, say where the neighbours are.
    """
    images, transforms = op.inputs[:2]
    batch, height, width, channels = (tf.shape(images)[axis] for axis in range(4))
    dtype = tf.float32 if upstream.dtype.size < 4 else upstream.dtype
    rows, columns = tf.meshgrid(tf.range(height), tf.range(width), indexing="ij")
    masks = tf.one_hot(rows % 2 * 2 + columns % 2, 4, dtype=dtype)

    def transformed(image: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.broadcast_to(image, [batch, height, width, 4]),
            transforms=transforms,
            output_shape=tf.shape(upstream)[1:3],
            fill_value=0.0,
            interpolation=op.get_attr("interpolation"),
            fill_mode=op.get_attr("fill_mode"),
        )

    weights = transformed(masks)

    def found(numbers: tf.Tensor) -> tf.Tensor:
        seen = transformed(masks * tf.cast(numbers, dtype)[..., None])
        return tf.cast(tf.round(tf.math.divide_no_nan(seen, weights)), tf.int32)

    sample = tf.reshape(tf.range(batch), [batch, 1, 1, 1])
    place = (sample * height + found(rows)) * width + found(columns)
    parts = tf.cast(upstream, dtype)[..., None, :] * weights[..., None]
    sums = tf.math.unsorted_segment_sum(
        tf.reshape(parts, [-1, channels]), tf.reshape(place, [-1]), batch * height * width
    )
    gradient = tf.cast(tf.reshape(sums, tf.shape(images)), images.dtype)
    return gradient, *[None] * (len(op.inputs) - 1 if op.inputs else 3)
