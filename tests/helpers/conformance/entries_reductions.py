"""Reductions, norms, moments, and what is sorted or chosen along an axis."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from .entry import Entry, as_complex, entry, numbers

A = np.array([1.0, 2.0, 3.0])
X = numbers(2, 3)
Y = numbers(2, 2, 2)
TIES = np.array([[0.5, 0.5, -1.0], [2.0, 2.0, 2.0]])
# The middle one of three equal numbers has a derivative along each line, which is not linear in the line.
PAIRS = np.array([[0.5, 0.5, -1.0], [2.0, 3.0, 2.0]])
ZERO = np.zeros((2, 3))
M = tf.math

_AXES = {"all": {}, "axis=0": {"axis": 0}, "axis=-1, keepdims": {"axis": -1, "keepdims": True}}
_REDUCTIONS = {
    "reduce_sum": (ZERO,),
    "reduce_mean": (ZERO,),
    "reduce_prod": (ZERO, np.array([[0.0, 2, 3], [0, 0, 1]]), np.array([[-1.0, 0, 2], [0, 1e-3, 4]])),
    "reduce_max": (TIES,),
    "reduce_min": (TIES,),
    "reduce_variance": (ZERO, TIES),
    "reduce_std": (10 * X,),
    "reduce_euclidean_norm": (1e-3 * X, 1e3 * X),
    "reduce_logsumexp": (ZERO, 100 * X, -1000 + X),
}


def _reductions() -> list[Entry]:
    return [
        entry(f"tf.math.{name}, {how}", partial(getattr(M, name), **keywords), X, *points)
        for name, points in _REDUCTIONS.items()
        for how, keywords in _AXES.items()
    ]


def _of_two_axes() -> list[Entry]:
    names = ("reduce_prod", "reduce_euclidean_norm", "reduce_variance", "reduce_logsumexp")
    return [entry(f"tf.math.{name}, axis=[-1, 0]", partial(getattr(M, name), axis=[-1, 0]), Y) for name in names]


def _norms() -> list[Entry]:
    orders = (1, 2, 3, 0.5, 2.5, np.inf, "euclidean")
    vectors = [entry(f"tf.norm, ord={o}, axis=1", partial(tf.norm, ord=o, axis=1), X, 100 * X) for o in orders]
    matrices = [
        entry(f"tf.norm of matrices, ord={o}", partial(tf.norm, ord=o, axis=(-2, -1)), Y)
        for o in (1, 2, np.inf, "fro", "euclidean")
    ]
    kerass = [
        entry(f"keras.ops.norm, ord={o}", partial(keras.ops.norm, ord=o, axis=-1), X)
        for o in (1, 2, 3, -1, np.inf, -np.inf, None)
    ] + [
        entry(f"keras.ops.norm of matrices, ord={o}", partial(keras.ops.norm, ord=o, axis=(-2, -1)), Y)
        for o in ("fro", "nuc", 2, -2, 1, -1, np.inf)
    ]
    return vectors + matrices + kerass


def _kerass() -> list[Entry]:
    k = keras.ops
    one = {
        "prod": (k.prod, (np.array([[0.0, 2, 3], [0, 0, 1]]),)),
        "prod, axis=-1": (partial(k.prod, axis=-1, keepdims=True), (np.array([[0.0, 2, 3], [0, 0, 1]]),)),
        "std, axis=0": (partial(k.std, axis=0), ()),
        "var, axis=-1": (partial(k.var, axis=-1, keepdims=True), (ZERO,)),
        "mean": (k.mean, ()),
        "max, axis=1": (partial(k.max, axis=1), (TIES,)),
        "amin": (k.amin, ()),
        "logsumexp, axis=-1": (partial(k.logsumexp, axis=-1), (ZERO, 1000 * X)),
        "median, axis=-1": (partial(k.median, axis=-1), ()),
        "quantile, q=0.3": (partial(k.quantile, q=0.3, axis=1), ()),
        "sort": (partial(k.sort, axis=0), ()),
        "top_k": (lambda x: k.top_k(x, 2)[0], ()),
        "cumsum": (partial(k.cumsum, axis=-1), ()),
        "cumprod": (partial(k.cumprod, axis=-1), (ZERO, np.array([[0.0, 2, 3], [2, 0, 0]]))),
        "cumprod of all": (k.cumprod, (np.array([[0.0, 2, 3], [2, 0, 0]]),)),
        "average with weights": (lambda x: k.average(x, 0, weights=x[:, 0]), ()),
        "moments": (partial(k.moments, axes=[1]), (ZERO,)),
        "normalize": (partial(k.normalize, axis=-1), ()),
        "normalize, order=3": (partial(k.normalize, axis=-1, order=3), ()),
        "diff": (partial(k.diff, n=2), ()),
        "take_along_axis": (lambda x: k.take_along_axis(x, k.argsort(x, -1), -1), ()),
        "trapezoid": (lambda x: k.trapezoid(x, dx=0.3), ()),
        "ptp": (lambda x: tnp.ptp(x, 0), ()),
        "segment_sum": (lambda x: k.segment_sum(tf.transpose(x), tf.constant([0, 2, 2]), 4), ()),
        "segment_max": (lambda x: k.segment_max(tf.transpose(x), tf.constant([0, 2, 2]), 3), ()),
        "in_top_k": (lambda x: x * tf.cast(k.in_top_k([0, 1], tf.cast(x, tf.float32), 1), x.dtype)[:, None], ()),
    }
    return [entry(f"keras.ops.{name}", f, X, *points) for name, (f, points) in one.items()]


def _chosen() -> list[Entry]:
    return [
        entry("tf.math.top_k", lambda x: M.top_k(x, 2)[0], X, PAIRS),
        entry(
            "tf.math.top_k, unsorted",
            lambda x: M.top_k(x, 2, sorted=False)[0],
            X,
            skip={"compiled": "XLA has the largest ones in another order"},
        ),
        entry("tf.sort, axis=0, descending", lambda x: tf.sort(x, 0, "DESCENDING"), X),
        entry("tf.sort", tf.sort, X, PAIRS),
        entry("tf.gather by argsort", lambda x: tf.gather(x, tf.argsort(x, 1), batch_dims=1), X),
        entry("tf.nn.moments", lambda x: tf.nn.moments(x, [0]), X, ZERO, TIES),
        entry("tf.nn.moments, keepdims", lambda x: tf.nn.moments(x, [-1], keepdims=True), X, ZERO),
        entry("tf.nn.weighted_moments", lambda x: tf.nn.weighted_moments(x, [0], tf.exp(x)), X, ZERO),
        entry(
            "tf.nn.sufficient_statistics",
            lambda x: tf.nn.sufficient_statistics(x, [0], shift=tf.constant(0.3, x.dtype))[1:3],
            X,
        ),
        entry(
            "tf.nn.normalize_moments", lambda x: tf.nn.normalize_moments(tf.constant(4.0, x.dtype), x, x * x, 0.5), X
        ),
        entry("tf.nn.l2_loss", tf.nn.l2_loss, X, ZERO, orders=3),
        entry("tf.math.l2_normalize, axis=-1", lambda x: M.l2_normalize(x, -1), X, ZERO),
        entry("tf.math.l2_normalize, axis=[0, 1]", lambda x: M.l2_normalize(x, [0, 1], 0.1), X, 0.01 * X),
        entry("tf.clip_by_norm", lambda x: tf.clip_by_norm(x, 1.0), X, 0.1 * X),
        entry("tf.clip_by_norm, axes=1", lambda x: tf.clip_by_norm(x, 0.5, 1), X),
        entry("tf.clip_by_global_norm", lambda x: tf.clip_by_global_norm([x, 2 * x], 1.0), X, 0.01 * X),
        entry("tf.linalg.global_norm", lambda x: tf.linalg.global_norm([x, 2 * x]), X),
        entry("tf.linalg.normalize", lambda x: tf.linalg.normalize(x, axis=1), X),
        entry("tf.linalg.normalize, ord=1", lambda x: tf.linalg.normalize(x, 1, axis=0), X),
        entry("tf.math.add_n", lambda x: M.add_n([x, x * x, x]), X),
        entry("tf.math.accumulate_n", lambda x: M.accumulate_n([x, x * x]), X),
        entry(
            "a product with repeated arguments", lambda x: tf.reduce_prod(tf.stack([x, x, x]), 0), A, 0 * A, orders=3
        ),
        entry("reduce_max of equal terms", lambda x: tf.reduce_max(tf.stack([x * x, x * x]), 0), A, 0 * A),
        entry("reduce_prod of complex", lambda x: tf.reduce_prod(as_complex(x), 0), X[:, :2], 0 * X[:, :2]),
        entry(
            "reduce_euclidean_norm of complex", lambda x: tf.math.real(M.reduce_euclidean_norm(as_complex(x))), X[:, :2]
        ),
        entry("imaginary part of a norm", lambda x: tf.math.imag(M.reduce_euclidean_norm(as_complex(x))), X[:, :2]),
        entry("reduce_variance of complex", lambda x: M.reduce_variance(as_complex(x)), X[:, :2]),
        entry("reduce_std of complex", lambda x: M.reduce_std(as_complex(x)), X[:, :2]),
        entry("tf.norm of complex", lambda x: tf.norm(as_complex(x)), X[:, :2]),
        entry("reduce_sum by complex square", lambda x: tf.reduce_sum(as_complex(x) ** 2), X[:, :2]),
    ]


def _numpys() -> list[Entry]:
    one = {
        "tnp.prod": (partial(tnp.prod, axis=1), (np.array([[0.0, 2, 3], [0, 0, 1]]),)),
        "tnp.cumprod": (partial(tnp.cumprod, axis=-1), (np.array([[0.0, 2, 3], [0, 0, 1]]),)),
        "tnp.cumsum": (partial(tnp.cumsum, axis=0), ()),
        "tnp.std": (partial(tnp.std, axis=0), ()),
        "tnp.var": (lambda x: tnp.var(x, 0, x.dtype.as_numpy_dtype, ddof=1), ()),
        "tnp.amax": (partial(tnp.amax, axis=-1, keepdims=True), (TIES,)),
        "tnp.average": (lambda x: tnp.average(x, weights=x * x), ()),
        "tnp.sort": (tnp.sort, ()),
        "tnp.diff": (tnp.diff, ()),
        "tnp.nanprod": (tnp.nanprod, (np.array([[0.0, 2, 3], [0, 0, 1]]),)),
        "tnp.nanmean": (tnp.nanmean, ()),
        "tnp.nansum": (tnp.nansum, ()),
    }
    return [entry(name, f, X, *points) for name, (f, points) in one.items()]


ENTRIES = [*_reductions(), *_of_two_axes(), *_norms(), *_kerass(), *_chosen(), *_numpys()]
