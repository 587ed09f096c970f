"""Keras layers that are functions of their inputs, with fixed weights: normalization, merging, shapes, attention, pools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from .entries_pools import ranked
from .entry import Entry, entry, numbers

layers = keras.layers
Make = Callable[..., Any]
ROW, LINE, PLANE, CUBE = numbers(2, 4), numbers(2, 3, 2), numbers(1, 4, 3, 2), numbers(1, 2, 3, 2, 1)


def function_of(make: Make, *shapes: tuple[int, ...], **call: Any) -> Callable[..., Any]:
    """A layer as a function of its inputs, in their dtype; its weights are constants, the same at each run."""
    made: dict[str, Any] = {}

    def f(*xs: tf.Tensor) -> Any:
        with tf.init_scope():
            if xs[0].dtype.name not in made:
                made[xs[0].dtype.name] = _built(make(dtype=xs[0].dtype.name), shapes)
        return made[xs[0].dtype.name](xs[0] if len(xs) == 1 else list(xs), **call)

    return f


def _built(layer: Any, shapes: tuple[tuple[int, ...], ...]) -> Any:
    if not layer.built:
        layer.build(shapes[0] if len(shapes) == 1 else list(shapes))
    for n, w in enumerate(layer.weights):
        if w.dtype.startswith("float"):
            w.assign(numbers(*w.shape, low=0.3, high=0.9, seed=n) * (-1.0) ** ("kernel" in w.path and n))
    return layer


def _made(functions: dict[str, tuple[Make, Any]], **call: Any) -> list[Entry]:
    entries = []
    for name, (make, given) in functions.items():
        xs = given if isinstance(given, tuple) else (given,)
        f = function_of(make, *(x.shape for x in xs), **call)
        entries.append(entry(f"keras.layers.{name}", f, xs))
    return entries


def _normalizations() -> list[Entry]:
    return _made(
        {
            "Normalization": (
                lambda **k: layers.Normalization(mean=[0.1, 0.2, -0.3, 0], variance=[1, 2, 0.5, 1], **k),
                ROW,
            ),
            "Normalization, invert": (
                lambda **k: layers.Normalization(mean=0.3, variance=0.7, invert=True, axis=None, **k),
                ROW,
            ),
            "LayerNormalization": (layers.LayerNormalization, ROW),
            "LayerNormalization, two axes": (lambda **k: layers.LayerNormalization(axis=[1, 2], **k), LINE),
            "GroupNormalization": (lambda **k: layers.GroupNormalization(2, **k), numbers(1, 3, 4)),
            "GroupNormalization of instances": (lambda **k: layers.GroupNormalization(-1, **k), numbers(1, 3, 2)),
            "UnitNormalization": (layers.UnitNormalization, ROW),
            "UnitNormalization, axis 1": (lambda **k: layers.UnitNormalization(axis=1, **k), LINE),
            "RMSNormalization": (layers.RMSNormalization, ROW),
            "BatchNormalization in inference": (layers.BatchNormalization, ROW),
            "BatchNormalization of channels first": (lambda **k: layers.BatchNormalization(axis=1, **k), LINE),
            "SpectralNormalization": (lambda **k: layers.SpectralNormalization(layers.Dense(2, **k), **k), ROW),
        }
    ) + _made(
        {
            "BatchNormalization in training": (layers.BatchNormalization, ROW),
            "BatchNormalization in training, four axes": (layers.BatchNormalization, PLANE[:, :2]),
        },
        training=True,
    )


def _merges() -> list[Entry]:
    pair = (ROW, numbers(2, 4, seed=1))
    return _made(
        {
            "Add": (layers.Add, pair),
            "Subtract": (layers.Subtract, pair),
            "Multiply": (layers.Multiply, pair),
            "Average": (layers.Average, pair),
            "Maximum": (layers.Maximum, pair),
            "Minimum": (layers.Minimum, pair),
            "Concatenate": (layers.Concatenate, pair),
            "Dot, axes": (lambda **k: layers.Dot((2, 1), **k), (LINE, numbers(2, 2, 2))),
        }
    )


def _activations() -> list[Entry]:
    return _made(
        {
            "ELU": (layers.ELU, ROW),
            "LeakyReLU": (layers.LeakyReLU, ROW),
            "PReLU": (layers.PReLU, ROW),
            "ReLU, max_value, threshold": (lambda **k: layers.ReLU(1.0, 0.1, 0.2, **k), ROW),
            "Softmax, axes": (lambda **k: layers.Softmax(axis=[1, 2], **k), LINE),
            "Activation": (lambda **k: layers.Activation("mish", **k), ROW),
            "ActivityRegularization": (lambda **k: layers.ActivityRegularization(0.1, 0.1, **k), ROW),
        }
    )


def _shapes() -> list[Entry]:
    return _made(
        {
            "Flatten": (layers.Flatten, LINE),
            "Permute": (lambda **k: layers.Permute((2, 1), **k), LINE),
            "RepeatVector": (lambda **k: layers.RepeatVector(2, **k), ROW),
            "Reshape": (lambda **k: layers.Reshape((2, -1), **k), ROW),
            "Cropping1D": (lambda **k: layers.Cropping1D((1, 0), **k), LINE),
            "Cropping2D": (lambda **k: layers.Cropping2D(((1, 0), (0, 1)), **k), PLANE),
            "Cropping3D": (lambda **k: layers.Cropping3D(((0, 0), (1, 0), (0, 1)), **k), CUBE),
            "ZeroPadding1D": (lambda **k: layers.ZeroPadding1D((1, 0), **k), LINE),
            "ZeroPadding2D": (lambda **k: layers.ZeroPadding2D(((1, 0), (0, 1)), **k), PLANE[:, :2]),
            "ZeroPadding3D": (lambda **k: layers.ZeroPadding3D(((0, 0), (1, 0), (0, 0)), **k), CUBE[:, :, :2]),
            "UpSampling1D": (lambda **k: layers.UpSampling1D(2, **k), LINE),
            "UpSampling2D": (lambda **k: layers.UpSampling2D(2, **k), PLANE[:, :2, :2, :1]),
            "UpSampling3D": (lambda **k: layers.UpSampling3D((1, 2, 1), **k), CUBE[:, :, :2]),
        }
    )


def _poolings() -> list[Entry]:
    lines, planes = ranked(1, 4, 1), ranked(1, 3, 3, 1)
    return _made(
        {
            "GlobalAveragePooling1D": (layers.GlobalAveragePooling1D, LINE),
            "GlobalMaxPooling1D": (layers.GlobalMaxPooling1D, LINE),
            "GlobalAveragePooling2D": (lambda **k: layers.GlobalAveragePooling2D(keepdims=True, **k), PLANE),
            "GlobalMaxPooling2D": (layers.GlobalMaxPooling2D, planes),
            "GlobalAveragePooling3D": (layers.GlobalAveragePooling3D, CUBE),
            "GlobalMaxPooling3D": (layers.GlobalMaxPooling3D, CUBE),
            "AveragePooling1D": (lambda **k: layers.AveragePooling1D(2, 1, **k), lines),
            "MaxPooling1D": (lambda **k: layers.MaxPooling1D(2, 1, "same", **k), lines),
            "AdaptiveAveragePooling1D": (lambda **k: layers.AdaptiveAveragePooling1D(3, **k), lines),
            "AdaptiveMaxPooling1D": (lambda **k: layers.AdaptiveMaxPooling1D(3, **k), lines),
            "AdaptiveAveragePooling2D": (lambda **k: layers.AdaptiveAveragePooling2D((2, 2), **k), planes),
            "AdaptiveMaxPooling2D": (lambda **k: layers.AdaptiveMaxPooling2D((2, 2), **k), planes),
        }
    )


def _weighted() -> list[Entry]:
    return _made(
        {
            "Dense": (lambda **k: layers.Dense(3, "gelu", **k), ROW),
            "EinsumDense of a batch": (
                lambda **k: layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", **k),
                LINE,
            ),
            "Conv1D, causal": (lambda **k: layers.Conv1D(1, 2, padding="causal", **k), LINE),
            "Conv1D, dilations": (lambda **k: layers.Conv1D(1, 2, dilation_rate=2, **k), LINE),
            "Conv1DTranspose": (lambda **k: layers.Conv1DTranspose(1, 2, 2, **k), LINE[:1]),
            "DepthwiseConv1D": (lambda **k: layers.DepthwiseConv1D(2, **k), LINE),
            "SeparableConv1D": (lambda **k: layers.SeparableConv1D(1, 2, **k), LINE),
            "SeparableConv2D": (lambda **k: layers.SeparableConv2D(1, 2, **k), PLANE[:, :3, :2]),
            "Conv2D, groups": (lambda **k: layers.Conv2D(2, 2, groups=2, **k), PLANE[:, :3, :2]),
            "Conv3D": (lambda **k: layers.Conv3D(1, 2, **k), CUBE),
            "Conv3DTranspose": (lambda **k: layers.Conv3DTranspose(1, (1, 2, 1), **k), CUBE[:, :, :2]),
            "Attention": (layers.Attention, (numbers(1, 2, 2), numbers(1, 2, 2, seed=1))),
            "AdditiveAttention": (layers.AdditiveAttention, (numbers(1, 2, 2), numbers(1, 2, 2, seed=1))),
            "GaussianNoise in inference": (lambda **k: layers.GaussianNoise(0.1, **k), ROW),
            "STFTSpectrogram": (lambda **k: layers.STFTSpectrogram("magnitude", 4, 2, **k), numbers(1, 8, 1)),
            "CenterCrop": (lambda **k: layers.CenterCrop(2, 2, **k), PLANE),
            "Rescaling": (lambda **k: layers.Rescaling(0.3, 0.1, **k), ROW),
        }
    )


ENTRIES = [*_normalizations(), *_merges(), *_activations(), *_shapes(), *_poolings(), *_weighted()]
