"""Gradients that TensorFlow 2.21 lacks or gets wrong; most for second order and forward mode.

Importing this module registers them, for every ``tf.GradientTape`` of the process.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import by_formula, register
from . import arrays as _arrays  # noqa: F401  registers its own
from . import boxes as _boxes  # noqa: F401
from . import boxes as _projection  # noqa: F401
from . import convolutions as _convolutions  # noqa: F401
from . import convolutions as _grouped  # noqa: F401
from . import images as _images  # noqa: F401
from . import linear_algebra as _linear_algebra  # noqa: F401
from . import pooling as _fractional_pooling  # noqa: F401
from . import pooling as _morphology  # noqa: F401
from . import pooling as _pooling  # noqa: F401
from . import quantization as _quantization  # noqa: F401
from . import recurrent as _recurrent  # noqa: F401
from . import signal as _signal  # noqa: F401
from . import sparse_tensors as _sparse  # noqa: F401
from . import special_functions as _special  # noqa: F401


@register("SoftsignGrad")
def _softsign_grad(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """SoftsignGrad(g, x) = g / (1 + |x|)²."""
    g, x = op.inputs
    width = 1 + tf.abs(x)
    return upstream / width**2, -2 * upstream * g * tf.sign(x) / width**3


@register("LRNGrad")
def _lrn_grad(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """LRNGrad(g, x, y) = g s⁻ᵝ − 2αβ x W(g y / s), s = bias + α W(x²), W the sum over a window of channels."""
    radius, bias = op.get_attr("depth_radius"), op.get_attr("bias")
    alpha, beta = op.get_attr("alpha"), op.get_attr("beta")

    def windowed(z: tf.Tensor) -> tf.Tensor:
        depth = tf.shape(z)[-1]
        return tf.tensordot(z, tf.linalg.band_part(tf.ones([depth, depth], z.dtype), radius, radius), 1)

    def formula(g: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        s = bias + alpha * windowed(x**2)
        return g * s**-beta - 2 * alpha * beta * x * windowed(g * y / s)

    return by_formula(formula, op.inputs, upstream)


@register("MaxPoolGradWithArgmax")
def _max_pool_grad_with_argmax(op: Any, upstream: tf.Tensor) -> tuple[None, tf.Tensor, None]:
    """The gradient goes to the largest element; its own gradient comes from there."""
    _, g, largest = op.inputs
    if op.get_attr("include_batch_in_index"):
        return None, tf.reshape(tf.gather(tf.reshape(upstream, [-1]), largest), tf.shape(g)), None
    batch = tf.shape(g)[0]
    rows, columns = tf.reshape(upstream, [batch, -1]), tf.reshape(largest, [batch, -1])
    return None, tf.reshape(tf.gather(rows, columns, batch_dims=1), tf.shape(g)), None
