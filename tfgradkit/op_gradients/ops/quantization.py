"""Gradients of fake quantization, whose own gradients TensorFlow registers as not differentiable.

In the range a gradient goes to x, below it to the minimum, above it to the maximum; so the
gradient of that is a choice among three, and every further one zero.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import take_over


@take_over("FakeQuantWithMinMaxArgs")
def _fake_quant_args(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    names = ("min", "max", "num_bits", "narrow_range")
    chosen = {name: op.get_attr(name) for name in names}
    inside = tf.raw_ops.FakeQuantWithMinMaxArgsGradient(gradients=tf.ones_like(upstream), inputs=op.inputs[0], **chosen)
    return tf.stop_gradient(inside) * upstream


@take_over("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def _fake_quant_vars(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    x, low, high = op.inputs
    chosen = {name: op.get_attr(name) for name in ("num_bits", "narrow_range")}
    gradient = getattr(tf.raw_ops, f"{op.type}Gradient")
    inside, *_ = gradient(gradients=tf.ones_like(upstream), inputs=x, min=low, max=high, **chosen)
    inside = tf.stop_gradient(inside)
    outside, below = (1 - inside) * upstream, tf.cast(x < (low + high) / 2, upstream.dtype)
    axes = list(range(x.shape.rank - low.shape.rank))
    return inside * upstream, tf.reduce_sum(outside * below, axes), tf.reduce_sum(outside * (1 - below), axes)
