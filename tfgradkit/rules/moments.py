"""Mean and variance whose second derivatives are right.

``tf.nn.moments`` stops the gradient at the mean inside the variance. That does not change the
first derivative, since the deviations sum to zero, but every second derivative: Hessians, and
weight gradients of a Jacobian, through LayerNormalization, GroupNormalization and a
BatchNormalization in training.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """As ``tf.nn.moments``; half precision is summed in float32, as there."""
    del shift  # unused there, too
    with tf.name_scope(name or "moments"):
        x = tf.convert_to_tensor(x)
        wide = tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x
        mean = tf.reduce_mean(wide, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(wide, mean), axes, keepdims=keepdims)
        mean = mean if keepdims else tf.reshape(mean, tf.shape(variance))
        return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)
