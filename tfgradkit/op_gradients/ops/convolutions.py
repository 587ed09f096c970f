"""Gradients of convolutions: those that TensorFlow's optimizers fuse, its newest one, and grouped ones.

The CPU kernels take groups forward, so a Keras model with ``groups=`` runs, but refuse them in the gradient, so that it
can't be trained or differentiated without XLA. Here the gradient is computed group by group.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import attribute, attributes, by_formula, register, take_over

# Of Conv2D and its gradients.
_ATTRIBUTES = ("strides", "padding", "explicit_paddings", "use_cudnn_on_gpu", "data_format", "dilations")


@register("FusedPadConv2D")
def _pad_and_convolve(op: Any, upstream: tf.Tensor) -> list[Any]:
    paddings = op.inputs[1]

    def formula(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(images, paddings, attribute(op, "mode"))
        return tf.nn.conv2d(padded, kernel, op.get_attr("strides"), attribute(op, "padding"))

    by_images, by_kernel = by_formula(formula, [op.inputs[0], op.inputs[2]], upstream)
    return [by_images, None, by_kernel]


@register("FusedResizeAndPadConv2D")
def _resize_pad_and_convolve(op: Any, upstream: tf.Tensor) -> list[Any]:
    size, paddings = op.inputs[1:3]

    def formula(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        resized = tf.raw_ops.ResizeBilinear(images=images, size=size, align_corners=op.get_attr("resize_align_corners"))
        padded = tf.pad(tf.cast(resized, images.dtype), paddings, attribute(op, "mode"))
        return tf.nn.conv2d(padded, kernel, op.get_attr("strides"), attribute(op, "padding"))

    by_images, by_kernel = by_formula(formula, [op.inputs[0], op.inputs[3]], upstream)
    return [by_images, None, None, by_kernel]


@register("Conv")
def _convolve(op: Any, upstream: tf.Tensor) -> list[Any]:
    """In two and three dimensions, as ``Conv2D`` and ``Conv3D`` do it."""
    channels_last = attribute(op, "data_format") == "CHANNELS_LAST"
    is_3d = op.inputs[1].shape.rank == 5
    if op.get_attr("batch_dims") != 1 or op.get_attr("groups") != 1 or op.inputs[1].shape.rank not in (4, 5):
        raise NotImplementedError("the gradient of Conv with other batch axes, groups or dimensions")
    layout = ("NDHWC" if channels_last else "NCDHW") if is_3d else ("NHWC" if channels_last else "NCHW")
    kind = attribute(op, "padding")
    explicit = iter(op.get_attr("explicit_paddings"))
    padding = kind if kind != "EXPLICIT" else list(zip(explicit, explicit, strict=True))
    convolve = tf.nn.conv3d if is_3d else tf.nn.conv2d
    ones = [1] * op.inputs[1].shape.rank

    def formula(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        dilations = list(op.get_attr("dilations")) or ones
        return convolve(images, kernel, op.get_attr("strides"), padding, data_format=layout, dilations=dilations)

    return by_formula(formula, op.inputs, upstream)


@take_over("Conv2D")
def _conv2d(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """By x and by the kernel; for one group, TensorFlow's rule."""
    x, kernel = op.inputs
    chosen = attributes(op, *_ATTRIBUTES)
    channel = 1 if chosen["data_format"] == "NCHW" else 3
    groups = _groups(x.shape[channel], kernel.shape[2])
    if groups == 1:
        return _one_group(x, kernel, upstream, chosen)
    xs, kernels, upstreams = (tf.split(t, groups, axis) for t, axis in ((x, channel), (kernel, 3), (upstream, channel)))
    gradients = [_one_group(*part, chosen) for part in zip(xs, kernels, upstreams, strict=True)]
    return tf.concat([g[0] for g in gradients], channel), tf.concat([g[1] for g in gradients], 3)


def _one_group(x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor, chosen: Any) -> tuple[tf.Tensor, tf.Tensor]:
    return (
        tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, **chosen),
        tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=tf.shape(kernel), out_backprop=upstream, **chosen),
    )


def _groups(channels: int | None, of_kernel: int | None) -> int:
    """The number of groups; 1 where it is not known, and on a GPU, whose kernels take groups."""
    if not channels or not of_kernel or tf.config.list_logical_devices("GPU"):
        return 1
    return channels // of_kernel
