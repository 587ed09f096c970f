"""Gradients of convolutions that TensorFlow's optimizers fuse, and of its newest one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .registry import by_formula, register


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
