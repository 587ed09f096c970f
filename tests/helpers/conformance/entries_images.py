"""Convolutions, pools, normalization and pictures: paddings, strides, dilations, groups, formats, and both arguments."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entry import Entry, entry, numbers

N, K, image = tf.nn, keras.ops, tf.image
LINE, PLANE, CUBE = numbers(2, 6, 2), numbers(1, 5, 4, 2), numbers(1, 3, 3, 2, 1)
KERNEL = numbers(3, 2, 2, 2, seed=1)
COLOURS = numbers(1, 3, 2, 3, low=0.1, high=0.9)
# Window by window distinct, so that no two are equal.
RANKED = np.random.default_rng(3).permutation(40).reshape(1, 5, 4, 2) / 10.0


def _convolutions() -> list[Entry]:
    plane: dict[str, Any] = {
        "VALID": {"strides": 1, "padding": "VALID"},
        "SAME, strides": {"strides": [2, 1], "padding": "SAME"},
        "dilations": {"strides": 1, "padding": "SAME", "dilations": [1, 2]},
        "explicit": {"strides": 1, "padding": [[0, 0], [1, 2], [0, 1], [0, 0]]},
        "explicit, strides": {"strides": 2, "padding": [[0, 0], [2, 0], [1, 1], [0, 0]]},
    }
    entries = [
        entry(f"tf.nn.conv2d, {how}", lambda x, k, kw=keywords: N.conv2d(x, k, **kw), (PLANE, KERNEL))
        for how, keywords in plane.items()
    ]
    two = {
        "tf.nn.conv1d, SAME": (lambda x, k: N.conv1d(x, k, 2, "SAME"), LINE, numbers(3, 2, 2, seed=1)),
        "tf.nn.conv1d, dilations": (lambda x, k: N.conv1d(x, k, 1, "VALID", dilations=2), LINE, numbers(2, 2, 1)),
        "tf.nn.conv3d": (lambda x, k: N.conv3d(x, k, [1, 1, 1, 1, 1], "SAME"), CUBE, numbers(2, 2, 1, 1, 2, seed=1)),
        "tf.nn.depthwise_conv2d": (
            lambda x, k: N.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME"),
            PLANE,
            numbers(2, 2, 2, 2, seed=1),
        ),
        "tf.nn.depthwise_conv2d, dilations": (
            lambda x, k: N.depthwise_conv2d(x, k, [1, 1, 1, 1], "VALID", dilations=[2, 1]),
            PLANE,
            numbers(2, 2, 2, 1, seed=1),
        ),
        "tf.nn.conv2d_transpose": (
            lambda x, k: N.conv2d_transpose(x, k, [1, 10, 8, 1], 2, "SAME"),
            PLANE,
            numbers(3, 3, 1, 2, seed=1),
        ),
        "tf.nn.conv1d_transpose": (
            lambda x, k: N.conv1d_transpose(x, k, [2, 12, 1], 2, "SAME"),
            LINE,
            numbers(3, 1, 2, seed=1),
        ),
        "tf.nn.conv2d of groups": (lambda x, k: N.conv2d(x, k, 1, "SAME"), PLANE, numbers(2, 2, 1, 4, seed=1)),
        "tf.nn.convolution": (
            lambda x, k: N.convolution(x, k, padding="SAME", dilations=[2, 2]),
            PLANE,
            KERNEL[:2],
        ),
        "keras.ops.conv, valid": (lambda x, k: K.conv(x, k, 1, "valid"), PLANE, KERNEL),
        "keras.ops.conv_transpose": (lambda x, k: K.conv_transpose(x, k, 2, "same"), LINE, numbers(2, 3, 2, seed=1)),
        "keras.ops.depthwise_conv": (lambda x, k: K.depthwise_conv(x, k, 1, "same"), PLANE, numbers(2, 2, 2, 1)),
        "tf.nn.dilation2d": (
            lambda x, k: N.dilation2d(x, k, [1, 1, 1, 1], "VALID", "NHWC", [1, 1, 1, 1]),
            RANKED,
            0.01 * numbers(2, 2, 2, seed=1),
        ),
    }
    return entries + [entry(name, f, (x, k)) for name, (f, x, k) in two.items()]


def _pools() -> list[Entry]:
    one = {
        "tf.nn.avg_pool2d, SAME": (lambda x: N.avg_pool2d(x, 3, 2, "SAME") ** 2, PLANE),
        "tf.nn.avg_pool1d, VALID": (lambda x: N.avg_pool1d(x, 2, 1, "VALID") ** 2, LINE),
        "tf.nn.max_pool2d, SAME": (lambda x: N.max_pool2d(x, 3, 2, "SAME") ** 2, RANKED),
        "tf.nn.max_pool2d, explicit": (
            lambda x: N.max_pool2d(x, 2, 1, [[0, 0], [1, 0], [0, 1], [0, 0]]) ** 2,
            RANKED,
        ),
        "tf.nn.max_pool1d": (lambda x: N.max_pool1d(x, 2, 2, "VALID") ** 2, RANKED[0]),
        "tf.nn.max_pool_with_argmax": (lambda x: N.max_pool_with_argmax(x, 2, 1, "VALID")[0] ** 2, RANKED),
        "tf.nn.pool, dilations": (lambda x: N.pool(x, [2, 2], "AVG", dilations=[2, 1]) ** 2, PLANE),
        "keras.ops.average_pool": (lambda x: K.average_pool(x, 2, 2, "same") ** 2, PLANE),
        "keras.ops.max_pool": (lambda x: K.max_pool(x, 2, 1, "valid") ** 2, RANKED),
        "tf.nn.batch_normalization": (
            lambda x: N.batch_normalization(x, *N.moments(x, [0, 1, 2]), 0.1, 1.5, 1e-2),
            PLANE,
        ),
        "tf.image.extract_patches": (
            lambda x: image.extract_patches(x, [1, 2, 2, 1], [1, 1, 2, 1], [1, 2, 1, 1], "SAME") ** 2,
            PLANE,
        ),
        "tf.nn.softmax of channels": (lambda x: N.softmax(x, axis=-1), PLANE),
        "tf.nn.erosion2d": (
            lambda x: (
                N.erosion2d(x, 0.01 * numbers(2, 2, 2), [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]) ** 2
                if x.dtype == tf.float64
                else N.erosion2d(
                    x, tf.cast(0.01 * numbers(2, 2, 2), x.dtype), [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]
                )
                ** 2
            ),
            RANKED,
        ),
    }
    return [entry(name, f, x) for name, (f, x) in one.items()]


def _pictures() -> list[Entry]:
    one = {
        **{
            f"tf.image.resize, {method}, {how}": (
                lambda x, m=method, kw=keywords: tf.cast(image.resize(x, [4, 5], m, **kw), x.dtype) ** 2,
                PLANE,
            )
            for method in ("bilinear", "nearest", "bicubic", "area", "lanczos3", "gaussian", "mitchellcubic")
            for how, keywords in {"up": {}, "antialias": {"antialias": True}}.items()
        },
        "tf.image.crop_to_bounding_box": (lambda x: image.crop_to_bounding_box(x, 1, 0, 2, 3) ** 2, PLANE),
        "tf.image.pad_to_bounding_box": (lambda x: image.pad_to_bounding_box(x, 1, 2, 8, 7) ** 2, PLANE),
        "tf.image.central_crop": (lambda x: image.central_crop(x, 0.5) ** 2, PLANE),
        "tf.image.flip_left_right": (lambda x: image.flip_left_right(x) ** 2, PLANE),
        "tf.image.rot90": (lambda x: image.rot90(x, 3) ** 2, PLANE),
        "tf.image.transpose": (lambda x: image.transpose(x) ** 2, PLANE),
        "tf.image.total_variation": (image.total_variation, RANKED),
        "tf.image.image_gradients": (lambda x: [g**2 for g in image.image_gradients(x)], PLANE),
        "tf.image.sobel_edges": (lambda x: image.sobel_edges(x) ** 2, PLANE),
        "tf.image.rgb_to_grayscale": (lambda x: tf.cast(image.rgb_to_grayscale(x), x.dtype) ** 2, COLOURS),
        "tf.image.rgb_to_hsv": (image.rgb_to_hsv, COLOURS),
        "tf.image.hsv_to_rgb": (lambda x: image.hsv_to_rgb(x), COLOURS),
        "tf.image.rgb_to_yiq": (lambda x: image.rgb_to_yiq(x) ** 2, COLOURS),
        "tf.image.rgb_to_yuv": (lambda x: image.rgb_to_yuv(x) ** 2, COLOURS),
        "tf.image.per_image_standardization": (image.per_image_standardization, PLANE),
        "tf.image.psnr": (lambda x: image.psnr(x, x[..., ::-1] ** 2, 1.0), COLOURS),
        "keras.ops.image.resize": (lambda x: K.image.resize(x, (4, 3)) ** 2, PLANE),
        "keras.ops.image.rgb_to_grayscale": (lambda x: K.image.rgb_to_grayscale(x) ** 2, COLOURS),
        "keras.ops.image.affine_transform": (
            lambda x: K.image.affine_transform(x, tf.cast([[1.1, 0.2, 0.3, -0.1, 0.9, 0.2, 0, 0]], x.dtype)) ** 2,
            PLANE,
        ),
        "keras.ops.image.extract_patches": (lambda x: K.image.extract_patches(x, 2) ** 2, PLANE),
        "keras.ops.image.map_coordinates": (
            lambda x: K.image.map_coordinates(x[0, :, :, 0], tf.cast([[0.3, 2.2], [1.4, 0.6]], x.dtype), 1) ** 2,
            PLANE,
        ),
        "keras.ops.image.pad_images": (lambda x: K.image.pad_images(x, 1, 1, 1, 0) ** 2, PLANE),
        "keras.ops.image.crop_images": (lambda x: K.image.crop_images(x, 1, 0, 1, 1) ** 2, PLANE),
    }
    narrow = ("keras.ops.image", "bicubic", "area", "antialias", "lanczos", "gaussian", "mitchell", "bilinear")
    return [
        entry(
            name,
            f,
            x,
            tolerance=1e-3 if any(word in name for word in narrow) else 1e-6,
            skip={"facts": "float32 inside"} if "grayscale" in name else {},
        )
        for name, (f, x) in one.items()
    ]


ENTRIES = [*_convolutions(), *_pools(), *_pictures()]
