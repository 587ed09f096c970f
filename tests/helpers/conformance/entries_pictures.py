"""Ops of images that others lack: colours, glimpses, crops by boxes, projections, boxes that are drawn or suppressed."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .entries_pools import narrow, ranked
from .entry import Entry, entry, numbers

image, R = tf.image, tf.raw_ops
COLOURS = np.array([[[[0.2, 0.5, 0.9], [0.8, 0.3, 0.4]], [[0.6, 0.7, 0.1], [0.35, 0.3, 0.75]]]])
PIXEL = COLOURS[:, :1, :1]
PLANE, SMALL = numbers(1, 4, 3, 1), numbers(1, 3, 2, 1)
BOXES = np.array([[0.1, 0.1, 0.6, 0.5], [0.15, 0.05, 0.7, 0.45], [0.5, 0.4, 0.95, 0.9]])
# Kernels of float32 alone: differences tell four digits.
COARSE: dict[str, Any] = {"tolerance": 1e-3, "scale": 3.0}
INSIDE: dict[str, Any] = {"tolerance": 1e-3, "skip": {"facts": "float32 inside"}}


def _colours() -> list[Entry]:
    return [
        entry(
            "tf.image.adjust_contrast",
            narrow(lambda x, c: image.adjust_contrast(x, c)),
            (COLOURS[:, :1], np.array(1.3)),
            **COARSE,
        ),
        entry("tf.image.adjust_hue", narrow(lambda x: R.AdjustHue(images=x, delta=0.1)), PIXEL, **COARSE),
        entry("tf.image.adjust_saturation", narrow(lambda x: R.AdjustSaturation(images=x, scale=0.7)), PIXEL, **COARSE),
        entry("tf.image.adjust_brightness", lambda x: image.adjust_brightness(x, 0.1) ** 2, COLOURS, **INSIDE),
        entry("tf.image.adjust_gamma", lambda x: image.adjust_gamma(x, 1.7, 0.9), COLOURS, **INSIDE),
        entry("tf.image.yiq_to_rgb", lambda x: image.yiq_to_rgb(x) ** 2, COLOURS),
        entry("tf.image.yuv_to_rgb", lambda x: image.yuv_to_rgb(x) ** 2, COLOURS),
        entry("tf.image.grayscale_to_rgb", lambda x: image.grayscale_to_rgb(x) ** 2, PLANE),
        entry("tf.image.ssim", lambda x, y: image.ssim(x, y, 1.0, filter_size=3), (_patch(0), _patch(1)), scale=0.1),
        entry(
            "tf.image.resize_with_pad",
            lambda x: tf.cast(image.resize_with_pad(x, 4, 5), x.dtype) ** 2,
            PLANE,
            tolerance=1e-3,
        ),
        entry("tf.image.resize_with_crop_or_pad", lambda x: image.resize_with_crop_or_pad(x, 3, 5) ** 2, PLANE),
    ]


def _patch(seed: int) -> np.ndarray:
    return numbers(1, 3, 3, 1, low=0.1, high=0.9, seed=seed)


def _samplings() -> list[Entry]:
    matrix = np.array([[1.05, 0.1, 0.2, -0.1, 0.9, 0.3, 0.0, 0.0]], np.float32)
    box = np.array([[0.1, 0.15, 0.8, 0.9]])
    crop = {"box_indices": [0], "crop_size": [2, 1]}
    return [
        *(
            entry(
                f"tf.image.extract_glimpse, centered {centered}",
                narrow(
                    lambda x, c=centered: image.extract_glimpse(
                        x, [2, 3], [[0.1, -0.2]], centered=c, normalized=c, noise="zero"
                    )
                ),
                PLANE,
                **COARSE,
            )
            for centered in (True, False)
        ),
        *(
            entry(
                f"ImageProjectiveTransform{version}, {method}",
                lambda x, f=f, m=method, k=k: (
                    f(images=x, transforms=matrix, output_shape=[3, 3], interpolation=m, **k) ** 2
                ),
                PLANE,
                tolerance=1e-5,
            )
            for version, f, k in (
                ("V2", R.ImageProjectiveTransformV2, {}),
                ("V3", R.ImageProjectiveTransformV3, {"fill_value": 0.5}),
            )
            for method in ("BILINEAR", "NEAREST")
        ),
        *(
            entry(
                f"tf.image.crop_and_resize, {method}",
                narrow(lambda x, b, m=method: image.crop_and_resize(x, b, **crop, method=m)),
                (SMALL, box),
                **COARSE,
            )
            for method in ("bilinear", "nearest")
        ),
        entry(
            "CropAndResizeGradImage",
            narrow(
                lambda g: R.CropAndResizeGradImage(
                    grads=g, boxes=box.astype(np.float32), box_ind=[0], image_size=[1, 4, 3, 1], T=tf.float32
                )
            ),
            numbers(1, 2, 2, 1),
            **COARSE,
        ),
        entry(
            "CropAndResizeGradBoxes",
            narrow(lambda g, x, b: R.CropAndResizeGradBoxes(grads=g, image=x, boxes=b, box_ind=[0])),
            (numbers(1, 2, 1, 1), numbers(1, 2, 3, 1), box),
            scale=0.1,
            tolerance=1e-3,
        ),
        entry(
            "DrawBoundingBoxesV2",
            narrow(lambda x, c: R.DrawBoundingBoxesV2(images=x, boxes=BOXES[None, :2].astype(np.float32), colors=c)),
            (numbers(1, 4, 4, 1), numbers(2, 1)),
            **COARSE,
        ),
    ]


def _boxes() -> list[Entry]:
    scores = np.array([0.9, 0.8, 0.4])

    def suppressed(boxes: tf.Tensor, scores: tf.Tensor, sigma: float) -> tf.Tensor:
        return image.non_max_suppression_with_scores(boxes, scores, 3, 1.0, 0.0, sigma)[1]

    return [
        entry(
            "tf.image.non_max_suppression_with_scores, soft",
            narrow(lambda b, s: suppressed(b, s, 0.4)),
            (BOXES, scores),
            scale=0.1,
            tolerance=1e-3,
        ),
        entry(
            "tf.image.non_max_suppression_with_scores, hard",
            narrow(lambda s: suppressed(tf.constant(BOXES, tf.float32), s, 0.0)),
            scores,
            scale=0.1,
            tolerance=1e-3,
        ),
    ]


def _resize_gradients() -> list[Entry]:
    align: dict[str, dict[str, Any]] = {"": {}, "align_corners": {"align_corners": True}}
    centers = {**align, "half_pixel_centers": {"half_pixel_centers": True}}
    g = numbers(1, 4, 5, 1)
    return [
        *(
            entry(
                f"ResizeNearestNeighborGrad, {how}",
                lambda g, k=k: R.ResizeNearestNeighborGrad(grads=g, size=[3, 2], **k) ** 2,
                g,
            )
            for how, k in centers.items()
        ),
        *(
            entry(
                f"ResizeBicubicGrad, {how}",
                narrow(lambda g, k=k: R.ResizeBicubicGrad(grads=g, original_image=tf.zeros([1, 3, 2, 1]), **k)),
                g,
                **COARSE,
            )
            for how, k in centers.items()
        ),
        *(
            entry(
                f"ResizeBilinear, {how}",
                lambda x, k=k: tf.cast(R.ResizeBilinear(images=x, size=[3, 4], **k), x.dtype) ** 2,
                ranked(1, 4, 3, 1),
                tolerance=1e-3,
            )
            for how, k in centers.items()
        ),
        entry(
            "ScaleAndTranslateGrad",
            narrow(
                lambda g: R.ScaleAndTranslateGrad(
                    grads=g,
                    original_image=tf.zeros([1, 3, 2, 1]),
                    scale=[1.3, 1.9],
                    translation=[0.1, 0.2],
                    kernel_type="lanczos3",
                    antialias=True,
                )
            ),
            g,
            **COARSE,
        ),
    ]


ENTRIES = [*_colours(), *_samplings(), *_boxes(), *_resize_gradients()]
