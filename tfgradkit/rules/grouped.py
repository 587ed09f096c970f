"""The gradient of grouped convolutions, which TensorFlow's CPU kernels refuse: group by group.

The forward kernel takes them, so a Keras model with ``groups=`` runs, but can't be trained or
differentiated on a CPU without XLA.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .registry import take_over

_ATTRIBUTES = ("strides", "padding", "explicit_paddings", "use_cudnn_on_gpu", "data_format", "dilations")


@take_over("Conv2D")
def _conv2d(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """∂/∂x and ∂/∂kernel; of one group as TensorFlow has them."""
    x, kernel = op.inputs
    attributes = {name: _text(op.get_attr(name)) for name in _ATTRIBUTES}
    channel = 1 if attributes["data_format"] == "NCHW" else 3
    groups = _groups(x.shape[channel], kernel.shape[2])
    if groups == 1:
        return _one_group(x, kernel, upstream, attributes)
    xs, kernels, upstreams = (tf.split(t, groups, axis) for t, axis in ((x, channel), (kernel, 3), (upstream, channel)))
    slopes = [_one_group(*part, attributes) for part in zip(xs, kernels, upstreams, strict=True)]
    return tf.concat([s[0] for s in slopes], channel), tf.concat([s[1] for s in slopes], 3)


def _one_group(x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor, attributes: Any) -> tuple[tf.Tensor, tf.Tensor]:
    return (
        tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, **attributes),
        tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=tf.shape(kernel), out_backprop=upstream, **attributes),
    )


def _groups(channels: int | None, of_kernel: int | None) -> int:
    """1 where it is not known, and on a GPU, whose kernels take groups."""
    if not channels or not of_kernel or tf.config.list_logical_devices("GPU"):
        return 1
    return channels // of_kernel


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
