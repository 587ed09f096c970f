"""Gradients of ops on boxes (drawing, cropping, choosing), and of ``ImageProjectiveTransform`` by the image.

TensorFlow's rule for ``ImageProjectiveTransform`` (rotating, shearing, warping) transforms the upstream gradient by the
inverse, which is not the adjoint: where pixels are interpolated, and at the borders, it is another number. Here it is
the adjoint itself.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import by_formula, register, take_over


@register("DrawBoundingBoxesV2")
def _draw_boxes(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, tf.Tensor | None]:
    """To the image where nothing is drawn, else to the colour; by the boxes there is none, as lines jump by pixels.

    Frames drawn with the colours' numbers on black tell which colour each pixel has, 0 for none.
    """
    images, boxes, colors = op.inputs
    plain = tf.zeros([*tf.unstack(tf.shape(images)[:3]), 1], tf.float32)
    count = tf.shape(colors)[0]
    if tf.get_static_value(tf.size(colors)) == 0:
        drawn = tf.raw_ops.DrawBoundingBoxesV2(images=plain, boxes=boxes, colors=tf.ones([1, 1]))
        return upstream * tf.cast(1 - drawn, upstream.dtype), None, tf.zeros_like(colors)
    numbers = tf.cast(tf.range(1, count + 1), tf.float32)[:, None]
    owners = tf.cast(tf.raw_ops.DrawBoundingBoxesV2(images=plain, boxes=boxes, colors=numbers), tf.int32)
    depth = tf.shape(images)[3]
    sums = tf.math.unsorted_segment_sum(tf.reshape(upstream, [-1, depth]), tf.reshape(owners, [-1]), count + 1)
    kept = upstream * tf.cast(tf.equal(owners, 0), upstream.dtype)
    # A colour may have a number for opacity, which an image without an opacity channel leaves out.
    by_color = tf.pad(tf.cast(sums[1:], colors.dtype), [[0, 0], [0, tf.shape(colors)[1] - depth]])
    return kept, None, by_color


@register("CropAndResizeGradBoxes")
def _crop_and_resize_grad_boxes(op: Any, upstream: tf.Tensor) -> list[Any]:
    """The derivative by the boxes of bilinear sampling, written out, differentiated once more."""
    owners = op.inputs[3]

    def formula(g: tf.Tensor, image: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        return by_formula(lambda b: _cropped(image, b, owners, tf.shape(g)), [boxes], g)[0]

    return [*by_formula(formula, op.inputs[:3], upstream), None]


def _cropped(image: tf.Tensor, boxes: tf.Tensor, owners: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """``CropAndResize`` with method "bilinear", zeros outside, for the derivative by the boxes."""
    image = tf.cast(image, boxes.dtype)
    sides = [_places(boxes[:, a], boxes[:, a + 2], tf.shape(image)[a + 1], shape[a + 1]) for a in (0, 1)]
    (top, down, in_rows), (left, right, in_columns) = sides
    own = owners[:, None, None]

    def at(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        rows, columns = row[:, :, None], column[:, None, :]
        places = [own, tf.minimum(rows, tf.shape(image)[1] - 1), tf.minimum(columns, tf.shape(image)[2] - 1)]
        shape = tf.shape(own + rows + columns)
        return tf.gather_nd(image, tf.stack([tf.broadcast_to(place, shape) for place in places], -1))

    y, x = down[:, :, None, None], right[:, None, :, None]
    upper = (1 - x) * at(top, left) + x * at(top, left + 1)
    lower = (1 - x) * at(top + 1, left) + x * at(top + 1, left + 1)
    inside = tf.logical_and(in_rows[:, :, None, None], in_columns[:, None, :, None])
    return ((1 - y) * upper + y * lower) * tf.cast(inside, boxes.dtype)


def _places(first: tf.Tensor, last: tf.Tensor, size: tf.Tensor, count: tf.Tensor) -> tuple[Any, Any, Any]:
    """For each sample along a side: the pixel before it, its distance from there, and whether it is in the image."""
    scale = tf.cast(size - 1, first.dtype)
    steps = tf.cast(tf.range(count), first.dtype) / tf.cast(tf.maximum(count - 1, 1), first.dtype)
    spread = first[:, None] + (last - first)[:, None] * steps
    place = scale * tf.where(count > 1, spread, (first + last)[:, None] / 2)
    pixel = tf.clip_by_value(tf.cast(tf.floor(place), tf.int32), 0, tf.maximum(size - 2, 0))
    inside = tf.logical_and(place >= 0, place <= scale)
    return pixel, place - tf.cast(pixel, first.dtype), inside


@register("NonMaxSuppressionV5")
def _non_max_suppression(op: Any, _: Any, upstream: tf.Tensor, __: Any) -> list[Any]:
    """A score chosen is its own times exp(−iou²/2σ) for each box chosen before (Bodla et al. 2017)."""
    boxes, scores, *_, sigma = op.inputs
    chosen, _, count = op.outputs
    valid = tf.range(tf.size(chosen)) < count
    chosen = tf.where(valid, chosen, 0)

    def formula(boxes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        overlap = tf.linalg.band_part(_overlaps(tf.gather(boxes, chosen)) ** 2, -1, 0)
        before = tf.reduce_sum(overlap - tf.linalg.diag(tf.linalg.diag_part(overlap)), 1)
        kept = tf.where(sigma > 0, tf.exp(-tf.math.divide_no_nan(before, 2 * sigma)), tf.ones_like(before))
        return tf.gather(scores, chosen) * kept * tf.cast(valid, scores.dtype)

    return [*by_formula(formula, [boxes, scores], upstream), *[None] * 4]


def _overlaps(boxes: tf.Tensor) -> tf.Tensor:
    """Intersection over union of each pair."""
    low = tf.minimum(boxes[:, :2], boxes[:, 2:])
    high = tf.maximum(boxes[:, :2], boxes[:, 2:])
    sides = tf.minimum(high[:, None], high) - tf.maximum(low[:, None], low)
    common = tf.reduce_prod(tf.maximum(sides, 0), -1)
    areas = tf.reduce_prod(high - low, -1)
    return tf.math.divide_no_nan(common, areas[:, None] + areas - common)


@take_over("ImageProjectiveTransformV2", "ImageProjectiveTransformV3")
def _projective_transform(op: Any, upstream: tf.Tensor) -> tuple[Any, ...]:
    """Each pixel of the result is a weighted sum of up to four neighbours, whose rows and columns differ in parity.

    So the transforms of four masks, one for each pair of parities, are the weights. The transforms of the masked row
    and column numbers, divided by the weights, are the places of the neighbours.
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

    def places(numbers: tf.Tensor) -> tf.Tensor:
        seen = transformed(masks * tf.cast(numbers, dtype)[..., None])
        return tf.cast(tf.round(tf.math.divide_no_nan(seen, weights)), tf.int32)

    sample = tf.reshape(tf.range(batch), [batch, 1, 1, 1])
    place = (sample * height + places(rows)) * width + places(columns)
    parts = tf.cast(upstream, dtype)[..., None, :] * weights[..., None]
    sums = tf.math.unsorted_segment_sum(
        tf.reshape(parts, [-1, channels]), tf.reshape(place, [-1]), batch * height * width
    )
    gradient = tf.cast(tf.reshape(sums, tf.shape(images)), images.dtype)
    return gradient, *[None] * (len(op.inputs) - 1 if op.inputs else 3)
