"""Pools in two and three dimensions, of fractions, and normalization, with the ops of their first and second gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from .entry import Entry, entry, numbers

N, R = tf.nn, tf.raw_ops


def ranked(*shape: int, seed: int = 3) -> np.ndarray:
    """All different, so that windows have one largest element."""
    size = int(np.prod(shape))
    return np.random.default_rng(seed).permutation(size).reshape(shape) / (0.5 * size) - 0.9


def narrow(f: Any) -> Any:
    """Of float32 alone."""

    def cast(*xs: tf.Tensor) -> Any:
        ys = f(*(tf.cast(x, tf.float32) for x in xs))
        return tf.nest.map_structure(lambda y: tf.cast(y, xs[0].dtype), ys)

    return cast


PLANE, CUBE = ranked(1, 4, 3, 1), ranked(1, 3, 3, 2, 1)
TIED = np.round(PLANE)
_SAME: dict[str, Any] = {"ksize": [1, 3, 3, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}
_VALID: dict[str, Any] = {"ksize": [1, 2, 2, 1], "strides": [1, 1, 1, 1], "padding": "VALID"}
_SAME3: dict[str, Any] = {"ksize": [1, 2, 2, 2, 1], "strides": [1, 2, 1, 2, 1], "padding": "SAME"}
_VALID3: dict[str, Any] = {"ksize": [1, 2, 2, 1, 1], "strides": [1, 1, 1, 1, 1], "padding": "VALID"}
_TWO, _THREE = {"SAME": _SAME, "VALID": _VALID}, {"SAME": _SAME3, "VALID": _VALID3}


def _pools() -> list[Entry]:
    three = {"avg_pool3d": N.avg_pool3d, "max_pool3d": N.max_pool3d}
    return [
        *(
            entry(
                f"tf.nn.{name}, {how}",
                narrow(lambda x, f=f, k=k: f(x, k["ksize"], k["strides"], k["padding"]) ** 2),
                CUBE,
                tolerance=1e-4,
                skip={"facts": "differences of float32 kernels are no judges of what is smooth"},
            )
            for name, f in three.items()
            for how, k in _THREE.items()
        ),
        entry(
            "MaxPoolV2",
            lambda x: R.MaxPoolV2(input=x, ksize=[1, 2, 2, 1], strides=[1, 1, 1, 1], padding="VALID") ** 2,
            PLANE,
        ),
        entry("MaxPool of ties", lambda x: R.MaxPool(input=x, **_VALID) ** 2, PLANE, TIED),
        *(
            entry(
                f"tf.nn.fractional_{name}_pool, {how}",
                lambda x, f=f, k=k: f(x, [1.0, 1.4, 1.5, 1.0], seed=3, **k)[0] ** 2,
                ranked(1, 5, 4, 1),
            )
            for name, f in {"max": N.fractional_max_pool, "avg": N.fractional_avg_pool}.items()
            for how, k in {"": {}, "overlapping": {"overlapping": True}}.items()
        ),
        *(
            entry(
                f"Fractional{name}Pool, pseudo-random",
                lambda x, f=f: (
                    f(
                        value=x,
                        pooling_ratio=[1.0, 1.4, 1.5, 1.0],
                        pseudo_random=True,
                        deterministic=True,
                        seed=3,
                        seed2=5,
                        overlapping=True,
                    )[0]
                    ** 2
                ),
                ranked(1, 5, 4, 1),
            )
            for name, f in {"Max": R.FractionalMaxPool, "Avg": R.FractionalAvgPool}.items()
        ),
    ]


def _gradient_ops() -> list[Entry]:
    """By all that they take that is floating; the largest elements stay where they are."""
    entries = []
    for how, k in _TWO.items():
        y = R.MaxPool(input=PLANE, **k).numpy()
        entries += [
            entry(f"AvgPoolGrad, {how}", lambda g, k=k: R.AvgPoolGrad(orig_input_shape=PLANE.shape, grad=g, **k), y),
            entry(
                f"MaxPoolGrad, {how}", lambda x, g, k=k: _max_gradient(R.MaxPoolGrad, R.MaxPool, x, g, k), (PLANE, y)
            ),
            entry(
                f"MaxPoolGradGrad, {how}",
                lambda x, g, k=k: R.MaxPoolGradGrad(orig_input=x, orig_output=R.MaxPool(input=x, **k), grad=g, **k),
                (PLANE, ranked(*PLANE.shape, seed=4)),
            ),
        ]
    for how, k in _THREE.items():
        y = R.MaxPool3D(input=CUBE.astype(np.float32), **k).numpy()
        entries += [
            entry(
                f"AvgPool3DGrad, {how}",
                narrow(lambda g, k=k: R.AvgPool3DGrad(orig_input_shape=CUBE.shape, grad=g, **k)),
                y,
                tolerance=1e-4,
            ),
            entry(
                f"MaxPool3DGrad, {how}",
                narrow(lambda x, g, k=k: _max_gradient(R.MaxPool3DGrad, R.MaxPool3D, x, g, k)),
                (CUBE, y),
                tolerance=1e-4,
            ),
            entry(
                f"MaxPool3DGradGrad, {how}",
                narrow(
                    lambda x, g, k=k: R.MaxPool3DGradGrad(
                        orig_input=x, orig_output=R.MaxPool3D(input=x, **k), grad=g, **k
                    )
                ),
                (CUBE, ranked(*CUBE.shape, seed=4)),
                tolerance=1e-4,
            ),
        ]
    window = {"ksize": [1, 2, 2, 1], "strides": [1, 1, 1, 1], "padding": "VALID"}
    return [
        *entries,
        entry(
            "MaxPoolGradV2",
            lambda x, g: R.MaxPoolGradV2(orig_input=x, orig_output=R.MaxPool(input=x, **_VALID), grad=g, **window),
            (PLANE, ranked(1, 3, 2, 1)),
        ),
        entry(
            "MaxPoolGradWithArgmax",
            lambda x, g: R.MaxPoolGradWithArgmax(
                input=x, grad=g, argmax=R.MaxPoolWithArgmax(input=x, **_VALID)[1], **_VALID
            ),
            (PLANE, ranked(1, 3, 2, 1)),
        ),
        *(entry(f"Fractional{kind}PoolGrad", f, g) for kind, f, g in _fractional_gradients()),
    ]


def _max_gradient(gradient: Any, pool: Any, x: tf.Tensor, g: tf.Tensor, keywords: dict[str, Any]) -> tf.Tensor:
    return gradient(orig_input=x, orig_output=pool(input=x, **keywords), grad=g, **keywords)


def _fractional_gradients() -> list[tuple[str, Any, np.ndarray]]:
    rows, columns = np.array([0, 1, 4]), np.array([0, 2, 3, 5])
    image = ranked(1, 4, 5, 1)

    def average(g: tf.Tensor) -> tf.Tensor:
        return R.FractionalAvgPoolGrad(
            orig_input_tensor_shape=[1, 4, 5, 1],
            out_backprop=g,
            row_pooling_sequence=rows,
            col_pooling_sequence=columns,
            overlapping=True,
        )

    def largest(g: tf.Tensor) -> tf.Tensor:
        x = tf.cast(image, g.dtype)
        y, at, along = R.FractionalMaxPool(
            value=x, pooling_ratio=[1.0, 1.7, 1.7, 1.0], deterministic=True, seed=3, seed2=5
        )
        return R.FractionalMaxPoolGrad(
            orig_input=x, orig_output=y, out_backprop=g, row_pooling_sequence=at, col_pooling_sequence=along
        )

    return [("Avg", average, numbers(1, 2, 3, 1)), ("Max", largest, numbers(1, 2, 2, 1))]


X, G = numbers(3, 1, 1, 2), numbers(3, 1, 1, 2, seed=1)
SCALE, OFFSET = np.array([1.2, 0.7]), np.array([0.3, -0.2])
MEAN, VARIANCE = np.array([0.2, -0.1]), np.array([0.8, 1.3])


def _normalizations() -> list[Entry]:
    training = {
        "FusedBatchNorm": R.FusedBatchNorm,
        "FusedBatchNormV2": partial(R.FusedBatchNormV2),
        "FusedBatchNormV3": partial(R.FusedBatchNormV3),
    }
    whole = {"epsilon": 0.01, "is_training": True, "mean": [], "variance": []}
    return [
        *(
            entry(
                f"{name} in training",
                narrow(lambda x, s, b, f=f: f(x=x, scale=s, offset=b, **whole)[0]),
                (X, SCALE, OFFSET),
                tolerance=1e-3,
            )
            for name, f in training.items()
        ),
        *(
            entry(
                f"{name} in inference",
                narrow(
                    lambda x, s, b, m, v, f=f: f(
                        x=x, scale=s, offset=b, mean=m, variance=v, epsilon=0.01, is_training=False
                    )[0]
                ),
                (X, SCALE, OFFSET, MEAN, VARIANCE),
                tolerance=1e-3,
            )
            for name, f in training.items()
        ),
        entry(
            "tf.compat.v1.nn.fused_batch_norm, its moments",
            narrow(lambda x, s, b: tf.compat.v1.nn.fused_batch_norm(x, s, b, epsilon=0.01)),
            (X, SCALE, OFFSET),
            tolerance=1e-3,
        ),
        *(
            entry(
                f"FusedBatchNormGrad{version}, training {training}",
                narrow(partial(_batch_norm_gradient, version, training)),
                (G, X, SCALE),
                tolerance=1e-3,
            )
            for version in ("", "V2", "V3")
            for training in (True, False)
        ),
        entry(
            "BatchNormWithGlobalNormalization",
            lambda x, m, v, b, g: tf.compat.v1.nn.batch_norm_with_global_normalization(
                x, m, v, b, g, variance_epsilon=0.01, scale_after_normalization=True
            ),
            (X, MEAN, VARIANCE, OFFSET, SCALE),
        ),
        entry(
            "tf.nn.local_response_normalization",
            narrow(lambda x: N.local_response_normalization(x, 1, 1.1, 0.4, 0.6)),
            numbers(1, 1, 2, 4),
            tolerance=1e-3,
        ),
        entry(
            "LRNGrad",
            narrow(
                lambda g, x: R.LRNGrad(
                    input_grads=g,
                    input_image=x,
                    output_image=R.LRN(input=x, depth_radius=1, bias=1.1, alpha=0.4, beta=0.6),
                    depth_radius=1,
                    bias=1.1,
                    alpha=0.4,
                    beta=0.6,
                )
            ),
            (numbers(1, 1, 2, 4), numbers(1, 1, 2, 4, seed=1)),
            tolerance=1e-3,
        ),
        entry(
            "tf.nn.weighted_moments",
            lambda x, w: N.weighted_moments(x, [0], w),
            (numbers(3, 2), numbers(3, 2, low=0.3, seed=1)),
        ),
        entry(
            "tf.nn.normalize_moments",
            lambda x: N.normalize_moments(tf.cast(3, x.dtype), tf.reduce_sum(x, 0), tf.reduce_sum(x * x, 0), None),
            numbers(3, 2),
        ),
        entry(
            "tf.nn.sufficient_statistics",
            lambda x, s: N.sufficient_statistics(x, [0], s)[1:3],
            (numbers(3, 2), np.array(0.3)),
        ),
    ]


def _batch_norm_gradient(version: str, training: bool, g: tf.Tensor, x: tf.Tensor, scale: tf.Tensor) -> Any:
    mean, variance = (tf.constant(MEAN, x.dtype), tf.constant(VARIANCE, x.dtype))
    more: dict[str, Any] = {}
    if training:
        forward = getattr(R, f"FusedBatchNorm{version}")
        mean, variance = forward(x=x, scale=scale, offset=0 * scale, mean=[], variance=[], epsilon=0.01)[3:5]
    if version == "V3":
        more = {"reserve_space_3": tf.zeros([0])}
    return tuple(
        getattr(R, f"FusedBatchNormGrad{version}")(
            y_backprop=g,
            x=x,
            scale=scale,
            reserve_space_1=mean,
            reserve_space_2=variance,
            epsilon=0.01,
            is_training=training,
            **more,
        )
    )[:3]


ENTRIES = [*_pools(), *_gradient_ops(), *_normalizations()]
