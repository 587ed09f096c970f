"""Gradients of convolutions that TensorFlow's optimizers fuse, and of its newest one.

The gradient of grouped convolutions, which TensorFlow's CPU kernels refuse: group by group.

The forward kernel takes them, so a Keras model with ``groups=`` runs, but can't be trained or
differentiated on a CPU without XLA.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import by_formula, register, take_over


def _text(op: Any, name: str) -> str:
    value = op.get_attr(name)
    return value.decode() if isinstance(value, bytes) else value


@register("FusedPadConv2D")
def _pad_and_convolve(op: Any, upstream: tf.Tensor) -> list[Any]:
    paddings = op.inputs[1]

    def formula(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(images, paddings, _text(op, "mode"))
        return tf.nn.conv2d(padded, kernel, op.get_attr("strides"), _text(op, "padding"))

    by_images, by_kernel = by_formula(formula, [op.inputs[0], op.inputs[2]], upstream)
    return [by_images, None, by_kernel]


@register("FusedResizeAndPadConv2D")
def _resize_pad_and_convolve(op: Any, upstream: tf.Tensor) -> list[Any]:
    size, paddings = op.inputs[1:3]

    def formula(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        resized = tf.raw_ops.ResizeBilinear(images=images, size=size, align_corners=op.get_attr("resize_align_corners"))
        padded = tf.pad(tf.cast(resized, images.dtype), paddings, _text(op, "mode"))
        return tf.nn.conv2d(padded, kernel, op.get_attr("strides"), _text(op, "padding"))

    by_images, by_kernel = by_formula(formula, [op.inputs[0], op.inputs[3]], upstream)
    return [by_images, None, None, by_kernel]


@register("Conv")
def _convolve(op: Any, upstream: tf.Tensor) -> list[Any]:
    """In two and three dimensions, as ``Conv2D`` and ``Conv3D`` do it."""
    last = _text(op, "data_format") == "CHANNELS_LAST"
    wide = op.inputs[1].shape.rank == 5
    if op.get_attr("batch_dims") != 1 or op.get_attr("groups") != 1 or op.inputs[1].shape.rank not in (4, 5):
        raise NotImplementedError("the gradient of Conv with other batch axes, groups or dimensions")
    form = ("NDHWC" if last else "NCDHW") if wide else ("NHWC" if last else "NCHW")
    kind = _text(op, "padding")
    explicit = iter(op.get_attr("explicit_paddings"))
    padding = kind if kind != "EXPLICIT" else list(zip(explicit, explicit, strict=True))
    convolve = tf.nn.conv3d if wide else tf.nn.conv2d
    ones = [1] * op.inputs[1].shape.rank

    def formula(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        dilations = list(op.get_attr("dilations")) or ones
        return convolve(images, kernel, op.get_attr("strides"), padding, data_format=form, dilations=dilations)

    return by_formula(formula, op.inputs, upstream)


_ATTRIBUTES = ("strides", "padding", "explicit_paddings", "use_cudnn_on_gpu", "data_format", "dilations")


@take_over("Conv2D")
def _conv2d(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """∂/∂x and ∂/∂kernel; of one group as TensorFlow has them."""
    x, kernel = op.inputs
    attributes = {name: _attribute_text(op.get_attr(name)) for name in _ATTRIBUTES}
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


def _attribute_text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
