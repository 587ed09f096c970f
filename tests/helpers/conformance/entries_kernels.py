"""Convolutions and patches that other entries lack, and the ops of their gradients, by all their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .entries_pools import ranked
from .entry import Entry, entry, numbers

N, R = tf.nn, tf.raw_ops
PLANE, KERNEL = numbers(1, 3, 3, 1), numbers(2, 2, 1, 2, seed=1)
CUBE, CUBE_KERNEL = numbers(1, 3, 2, 2, 1), numbers(2, 1, 2, 1, 1, seed=1)
_PLANE: dict[str, dict[str, Any]] = {
    "SAME": {"strides": [1, 1, 1, 1], "padding": "SAME"},
    "VALID, strides": {"strides": [1, 2, 2, 1], "padding": "VALID"},
    "explicit": {"strides": [1, 1, 1, 1], "padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 0, 0, 1, 0, 0]},
}
_CUBE: dict[str, dict[str, Any]] = {
    "SAME": {"strides": [1, 1, 1, 1, 1], "padding": "SAME"},
    "VALID, strides": {"strides": [1, 2, 1, 1, 1], "padding": "VALID"},
}


def _backward(op: str, forward: Any, x: np.ndarray, k: np.ndarray, how: str, keywords: dict[str, Any]) -> list[Entry]:
    """Of a convolution, the gradients by its input and by its kernel."""
    g = forward(x, k, keywords).numpy()
    version = "V2" if "3D" in op else ""
    by_input, by_kernel = getattr(R, f"{op}BackpropInput{version}"), getattr(R, f"{op}BackpropFilter{version}")
    return [
        entry(
            f"{op}BackpropInput, {how}",
            lambda k, g: by_input(input_sizes=x.shape, filter=k, out_backprop=g, **keywords),
            (k, numbers(*g.shape, seed=2)),
        ),
        entry(
            f"{op}BackpropFilter, {how}",
            lambda x, g: by_kernel(input=x, filter_sizes=k.shape, out_backprop=g, **keywords),
            (x, numbers(*g.shape, seed=2)),
        ),
    ]


def _backwards() -> list[Entry]:
    entries = []
    for how, k in _PLANE.items():
        entries += _backward("Conv2D", lambda x, w, k: R.Conv2D(input=x, filter=w, **k), PLANE, KERNEL, how, k)
        entries += _backward(
            "DepthwiseConv2dNative",
            lambda x, w, k: R.DepthwiseConv2dNative(input=x, filter=w, **k),
            PLANE,
            KERNEL,
            how,
            k,
        )
    for how, k in _CUBE.items():
        entries += _backward("Conv3D", lambda x, w, k: R.Conv3D(input=x, filter=w, **k), CUBE, CUBE_KERNEL, how, k)
    return entries


def _convolutions() -> list[Entry]:
    pad = {"paddings": [[0, 0], [1, 0], [1, 1], [0, 0]], "padding": "VALID"}
    two = {
        "Conv": (lambda x, k: R.Conv(input=x, filter=k, strides=[1, 1, 2, 1], padding="SAME"), PLANE, KERNEL),
        "Conv in three dimensions": (
            lambda x, k: R.Conv(input=x, filter=k, strides=[1] * 5, padding="VALID"),
            CUBE,
            CUBE_KERNEL,
        ),
        "tf.nn.conv3d, strides": (lambda x, k: N.conv3d(x, k, [1, 2, 1, 1, 1], "VALID"), CUBE, CUBE_KERNEL),
        "tf.nn.conv3d_transpose": (
            lambda x, k: N.conv3d_transpose(x, k, [1, 3, 2, 2, 1], [1, 1, 1, 1, 1], "SAME"),
            CUBE,
            CUBE_KERNEL,
        ),
        "tf.nn.separable_conv2d": (
            lambda x, k: N.separable_conv2d(x, k, tf.cast(numbers(1, 1, 2, 1), x.dtype), [1] * 4, "SAME"),
            PLANE,
            KERNEL,
        ),
        "tf.nn.atrous_conv2d": (lambda x, k: N.atrous_conv2d(x, k, 2, "SAME"), PLANE, KERNEL),
        "FusedPadConv2D": (
            lambda x, k: R.FusedPadConv2D(input=x, filter=k, mode="REFLECT", strides=[1] * 4, **pad),
            PLANE,
            KERNEL,
        ),
        "FusedResizeAndPadConv2D": (
            lambda x, k: R.FusedResizeAndPadConv2D(
                input=x, size=[4, 4], filter=k, mode="SYMMETRIC", strides=[1, 2, 2, 1], **pad
            ),
            PLANE,
            KERNEL,
        ),
    }
    return [
        *(entry(name, f, (x, k), tolerance=1e-4 if "Resize" in name else 1e-6) for name, (f, x, k) in two.items()),
        entry(
            "tf.extract_volume_patches",
            lambda x: tf.compat.v1.extract_volume_patches(x, [1, 2, 1, 2, 1], [1, 1, 1, 1, 1], "VALID") ** 2,
            CUBE[:, :2],
        ),
        entry(
            "tf.extract_volume_patches, SAME, strides",
            lambda x: tf.compat.v1.extract_volume_patches(x, [1, 2, 2, 1, 1], [1, 2, 1, 1, 1], "SAME") ** 2,
            CUBE[:, :2],
        ),
        entry(
            "ExtractImagePatches, VALID",
            lambda x: (
                R.ExtractImagePatches(
                    images=x, ksizes=[1, 2, 2, 1], strides=[1, 1, 1, 1], rates=[1, 1, 2, 1], padding="VALID"
                )
                ** 2
            ),
            PLANE,
        ),
        entry("BiasAddGrad", lambda g: R.BiasAddGrad(out_backprop=g) ** 2, PLANE),
        entry("BiasAddGrad, NCHW", lambda g: R.BiasAddGrad(out_backprop=g, data_format="NCHW") ** 2, PLANE),
        entry("BiasAddV1", lambda x, b: R.BiasAddV1(value=x, bias=b) ** 2, (numbers(2, 3), numbers(3, seed=1))),
        entry("tf.nn.bias_add, NCHW", lambda x, b: N.bias_add(x, b, "NCHW") ** 2, (PLANE, numbers(3, seed=1))),
    ]


def _dilations() -> list[Entry]:
    x, k = ranked(1, 3, 2, 1), 0.05 * numbers(2, 2, 1)
    keywords: dict[str, Any] = {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "SAME"}
    fixed = {"input": x, "filter": k}

    def arguments(g: tf.Tensor) -> dict[str, Any]:
        return {name: tf.cast(value, g.dtype) for name, value in fixed.items()}

    return [
        entry(
            "tf.nn.dilation2d, rates and strides",
            lambda x, k: N.dilation2d(x, k, [1, 2, 1, 1], "SAME", "NHWC", [1, 1, 2, 1]) ** 2,
            (x, k),
        ),
        *(
            entry(
                f"Dilation2DBackprop{part}",
                lambda g, f=f: f(**arguments(g), out_backprop=g, **keywords) ** 2,
                numbers(1, 3, 2, 1),
            )
            for part, f in {"Input": R.Dilation2DBackpropInput, "Filter": R.Dilation2DBackpropFilter}.items()
        ),
        *(
            entry(
                f"Dilation2DBackprop{part} by all",
                lambda x, k, g, f=f: f(input=x, filter=k, out_backprop=g, **keywords),
                (x, k, numbers(1, 3, 2, 1)),
            )
            for part, f in {"Input": R.Dilation2DBackpropInput, "Filter": R.Dilation2DBackpropFilter}.items()
        ),
    ]


ENTRIES = [*_backwards(), *_convolutions(), *_dilations()]
