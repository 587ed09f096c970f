"""Gradients of image ops that TensorFlow 2.21 lacks: resizing, cropping, glimpses, colours.

Resizing and cropping are linear in the image, so their gradients are linear in the upstream gradient, and the
derivative of such a gradient is the resizing or cropping itself.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import attributes, by_formula, register, take_over


def _size(images: tf.Tensor) -> tf.Tensor:
    return tf.shape(images)[1:3]


@take_over("ResizeBilinear")
def _resize_bilinear(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """TensorFlow's rule, with a gradient: its ResizeBilinearGrad is registered as not differentiable."""
    images, chosen = op.inputs[0], attributes(op, "align_corners", "half_pixel_centers")

    @tf.custom_gradient
    def adjoint(g: tf.Tensor) -> Any:
        def resized(u: tf.Tensor) -> tf.Tensor:
            return tf.raw_ops.ResizeBilinear(images=tf.cast(u, tf.float32), size=_size(g), **chosen)

        # The kernel reads the shape of the image alone; XLA's reads beyond its memory where the image is float64.
        like = tf.cast(images, tf.float32)
        return tf.cast(tf.raw_ops.ResizeBilinearGrad(grads=g, original_image=like, **chosen), images.dtype), resized

    return adjoint(upstream), None


@register("ResizeBicubicGrad")
def _resize_bicubic_grad(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    chosen = attributes(op, "align_corners", "half_pixel_centers")
    return tf.raw_ops.ResizeBicubic(images=upstream, size=_size(op.inputs[0]), **chosen), None


@register("ResizeNearestNeighborGrad")
def _resize_nearest_grad(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    chosen = attributes(op, "align_corners", "half_pixel_centers")
    return tf.raw_ops.ResizeNearestNeighbor(images=upstream, size=_size(op.inputs[0]), **chosen), None


@take_over("ScaleAndTranslate")
def _scale_and_translate(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    """TensorFlow's rule fails where the images are not float32, as the result always is."""
    images, _, scale, translation = op.inputs
    gradient = tf.raw_ops.ScaleAndTranslateGrad(
        grads=upstream, original_image=tf.cast(images, tf.float32), scale=scale, translation=translation,
        **attributes(op, "kernel_type", "antialias"),
    )  # fmt: skip
    return tf.cast(gradient, images.dtype), None, None, None


@register("ScaleAndTranslateGrad")
def _scale_and_translate_grad(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    g, _, scale, translation = op.inputs
    chosen = attributes(op, "kernel_type", "antialias")
    resized = tf.raw_ops.ScaleAndTranslate(
        images=upstream, size=_size(g), scale=scale, translation=translation, **chosen
    )
    return resized, None, None, None


@register("ResizeArea")
def _resize_area(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """Rows and columns are averaged one after the other, by the matrices that resizing unit vectors gives."""
    images, size = op.inputs

    def matrix(axis: int) -> tf.Tensor:
        count, unit = tf.shape(images)[axis], [1, 1]
        unit[axis - 1] = size[axis - 1]
        shape = tf.stack([count, *(count if a == axis else 1 for a in (1, 2)), 1])
        units = tf.reshape(tf.eye(count, dtype=images.dtype), shape)
        resized = tf.raw_ops.ResizeArea(images=units, size=tf.stack(unit), **attributes(op, "align_corners"))
        return tf.reshape(resized, [count, -1])

    return tf.cast(tf.einsum("bpqc,ip,jq->bijc", upstream, matrix(1), matrix(2)), images.dtype), None


@register("CropAndResizeGradImage")
def _crop_and_resize_grad_image(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    g, boxes, box_indices, _ = op.inputs
    chosen = attributes(op, "method")
    crops = tf.image.crop_and_resize(upstream, boxes, box_indices, _size(g), **chosen)
    if chosen["method"] == "nearest":
        return crops, None, None, None
    # ⟨upstream, gradient(g)⟩ = ⟨crops of upstream, g⟩, which moves with the boxes.
    by_boxes = tf.raw_ops.CropAndResizeGradBoxes(grads=g, image=upstream, boxes=boxes, box_ind=box_indices)
    return crops, by_boxes, None, None


@register("ExtractGlimpseV2")
def _extract_glimpse(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
    """A glimpse of the pixels' numbers tells which pixel each pixel of a glimpse is; 0 is outside."""
    images, size, offsets = op.inputs
    batch, height, width, channels = (tf.shape(images)[axis] for axis in range(4))
    pixels = height * width
    numbers = tf.reshape(tf.range(1, batch * pixels + 1), [batch, height, width, 1])
    # In two digits, since a float32 holds whole numbers up to 2²⁴ only.
    digits = tf.cast(tf.concat([numbers // 4096, numbers % 4096], -1), tf.float32)
    seen = tf.raw_ops.ExtractGlimpseV2(
        input=digits, size=size, offsets=offsets, **attributes(op, "centered", "normalized"),
        uniform_noise=False, noise="zero",
    )  # fmt: skip
    source = tf.cast(seen[..., 0] * 4096 + seen[..., 1], tf.int32)
    rows = tf.reshape(upstream, [-1, channels])
    gradient = tf.math.unsorted_segment_sum(rows, tf.reshape(source, [-1]), batch * pixels + 1)
    return tf.reshape(gradient[1:], tf.shape(images)), None, None


def hsv_to_rgb(images: Any, name: str | None = None) -> tf.Tensor:
    """As ``tf.image.hsv_to_rgb``, of differentiable ops (A. R. Smith, "Color gamut transform pairs", 1978)."""
    hue, saturation, value = tf.unstack(tf.convert_to_tensor(images), axis=-1)
    away = [tf.abs(hue * 6 - 3) - 1, 2 - tf.abs(hue * 6 - 2), 2 - tf.abs(hue * 6 - 4)]
    pure = [tf.clip_by_value(channel, 0, 1) for channel in away]
    return tf.stack([(1 - saturation + saturation * channel) * value for channel in pure], -1, name=name)


@register("AdjustContrastv2")
def _adjust_contrast(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    def formula(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(images, [-3, -2], keepdims=True)
        return mean + (images - mean) * tf.cast(factor, images.dtype)

    return by_formula(formula, op.inputs, upstream)


@register("AdjustHue")
def _adjust_hue(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    def formula(images: tf.Tensor, delta: tf.Tensor) -> tf.Tensor:
        hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(images), axis=-1)
        turned = hue + tf.cast(delta, hue.dtype)
        return hsv_to_rgb(tf.stack([turned - tf.floor(turned), saturation, value], -1))

    return by_formula(formula, op.inputs, upstream)


@register("AdjustSaturation")
def _adjust_saturation(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    def formula(images: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(images), axis=-1)
        scaled = tf.clip_by_value(saturation * tf.cast(scale, hue.dtype), 0, 1)
        return hsv_to_rgb(tf.stack([hue, scaled, value], -1))

    return by_formula(formula, op.inputs, upstream)
