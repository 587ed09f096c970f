"""Losses by predictions and by labels: ``tf.nn``, ``keras.losses`` and ``keras.ops``, with labels that depend on x."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from .entry import entry

losses, ops, nn, raw = keras.losses, keras.ops, tf.nn, tf.raw_ops
P = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
T = np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]])
L = np.array([[0.3, -0.4, 0.9], [-1.2, 0.8, 0.1]])
ZERO, FAR = 0 * L, np.array([[30.0, -25.0, 0.0], [2.0, 2.0, 2.0]])
ONE_HOT = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
SPARSE = tf.constant([1, 0])


def by_both(name, f, *points, **keywords):
    """By the second argument with labels fixed, and by both."""
    fixed = points[0][0]
    yield entry(f"{name} by predictions", lambda y: f(tf.cast(fixed, y.dtype), y), *(p for _, p in points), **keywords)
    yield entry(f"{name} by both", f, *points, **keywords)


_TF = [
    *by_both(
        "tf.nn.softmax_cross_entropy_with_logits",
        nn.softmax_cross_entropy_with_logits,
        (T, L),
        (ONE_HOT, FAR),
        (T, ZERO),
    ),
    entry(
        "tf.nn.softmax_cross_entropy_with_logits, labels not of sum one",
        lambda x: nn.softmax_cross_entropy_with_logits(tf.cast(3 * T + 1, x.dtype), x),
        L,
        ZERO,
        orders=3,
    ),
    entry(
        "tf.nn.softmax_cross_entropy_with_logits, labels of x",
        lambda x: nn.softmax_cross_entropy_with_logits(nn.softmax(2 * x[:, ::-1]), x),
        L,
        ZERO,
        orders=3,
    ),
    entry(
        "tf.nn.softmax_cross_entropy_with_logits, axis 0",
        lambda z, x: nn.softmax_cross_entropy_with_logits(z, x, axis=0),
        (T, L),
        (T, ZERO),
    ),
    entry(
        "tf.nn.softmax_cross_entropy_with_logits, stopped labels",
        lambda x: nn.softmax_cross_entropy_with_logits(tf.stop_gradient(tf.cast(T, x.dtype)), x),
        L,
    ),
    entry(
        "tf.nn.sparse_softmax_cross_entropy_with_logits",
        lambda x: nn.sparse_softmax_cross_entropy_with_logits(SPARSE, x),
        L,
        FAR,
        ZERO,
        orders=3,
    ),
    entry(
        "SoftmaxCrossEntropyWithLogits.backprop by both",
        lambda z, x: raw.SoftmaxCrossEntropyWithLogits(features=x, labels=z).backprop,
        (T, L),
        (T, ZERO),
    ),
    entry(
        "SoftmaxCrossEntropyWithLogits.backprop",
        lambda x: raw.SoftmaxCrossEntropyWithLogits(features=x, labels=tf.cast(T, x.dtype)).backprop,
        L,
    ),
    entry(
        "SoftmaxCrossEntropyWithLogits, both results",
        lambda x: tuple(raw.SoftmaxCrossEntropyWithLogits(features=x, labels=tf.cast(T, x.dtype))),
        L,
    ),
    entry(
        "SparseSoftmaxCrossEntropyWithLogits.backprop",
        lambda x: raw.SparseSoftmaxCrossEntropyWithLogits(features=x, labels=SPARSE).backprop,
        L,
        ZERO,
    ),
    *by_both(
        "tf.nn.sigmoid_cross_entropy_with_logits",
        nn.sigmoid_cross_entropy_with_logits,
        (T, L),
        (ONE_HOT, FAR),
        (T, ZERO),
        orders=3,
    ),
    *by_both(
        "tf.nn.weighted_cross_entropy_with_logits",
        lambda z, x: nn.weighted_cross_entropy_with_logits(z, x, 1.7),
        (T, L),
        (ONE_HOT, FAR),
        (T, ZERO),
        orders=3,
    ),
    entry(
        "tf.nn.weighted_cross_entropy_with_logits by the weight",
        lambda x, q: nn.weighted_cross_entropy_with_logits(tf.cast(T, x.dtype), x, q),
        (L, 1.3),
        (ZERO, 0.0),
    ),
    *by_both("tf.nn.log_poisson_loss", nn.log_poisson_loss, (4 * T + 1, L), (T, ZERO), orders=3),
    *by_both(
        "tf.nn.log_poisson_loss, full",
        lambda z, x: nn.log_poisson_loss(z, x, compute_full_loss=True),
        (4 * T + 1.1, L),
        (4 * T + 2, ZERO),
        scale=0.3,
    ),
    entry(
        "tf.nn.log_poisson_loss, full, targets 0",
        lambda x: nn.log_poisson_loss(x, 2 * x, compute_full_loss=True),
        0.5 * T,
        scale=0.1,
    ),
    entry("tf.nn.l2_loss of a difference", lambda x, y: nn.l2_loss(x - y), (L, P), (L, L)),
    entry(
        "entropy by xlogy", lambda x: -tf.reduce_sum(tf.math.xlogy(nn.softmax(x), nn.softmax(x)), -1), L, ZERO, orders=3
    ),
    entry(
        "Kullback-Leibler by xdivy",
        lambda p, q: tf.reduce_sum(tf.math.xlogy(p, p) - tf.math.xlogy(p, q), -1),
        (P, T),
        scale=0.1,
    ),
]
_KERAS = [
    *by_both("keras.losses.mean_squared_error", losses.mean_squared_error, (T, L), (T, T), orders=3),
    *by_both("keras.losses.mean_absolute_error", losses.mean_absolute_error, (T, L), (T, ZERO)),
    *by_both("keras.losses.mean_absolute_percentage_error", losses.mean_absolute_percentage_error, (T, L), scale=0.1),
    *by_both("keras.losses.mean_squared_logarithmic_error", losses.mean_squared_logarithmic_error, (T, P), scale=0.1),
    *by_both("keras.losses.huber", losses.huber, (T, L), (T, T)),
    entry("keras.losses.huber, delta", lambda x: losses.huber(tf.cast(T, x.dtype), x, delta=0.3), L, T),
    *by_both("keras.losses.log_cosh", losses.log_cosh, (T, L), (T, T), orders=3),
    *by_both("keras.losses.cosine_similarity", losses.cosine_similarity, (T, L), (T, T), scale=0.3),
    entry(
        "keras.losses.cosine_similarity, axis 0",
        lambda x: losses.cosine_similarity(tf.cast(T, x.dtype), x, axis=0),
        L,
        scale=0.3,
    ),
    *by_both("keras.losses.kl_divergence", losses.kl_divergence, (T, P), (T, T), scale=0.1),
    *by_both("keras.losses.poisson", losses.poisson, (T, P), scale=0.1),
    *by_both("keras.losses.hinge", losses.hinge, (2 * ONE_HOT - 1, L)),
    *by_both("keras.losses.squared_hinge", losses.squared_hinge, (2 * ONE_HOT - 1, L)),
    entry("keras.losses.categorical_hinge", lambda x: losses.categorical_hinge(tf.cast(ONE_HOT, x.dtype), x), L),
    *by_both("keras.losses.dice", losses.dice, (T, P), scale=0.3),
    entry("keras.losses.dice, axis", lambda x: losses.dice(tf.cast(T, x.dtype), x, axis=(1,)), P, scale=0.3),
    *by_both("keras.losses.tversky", lambda z, x: losses.tversky(z, x, alpha=0.3, beta=0.6), (T, P), scale=0.3),
    entry(
        "keras.losses.categorical_generalized_cross_entropy",
        lambda x: losses.categorical_generalized_cross_entropy(SPARSE, x, 0.5),
        P,
        scale=0.1,
    ),
    entry(
        "keras.losses.circle",
        lambda x: losses.circle(tf.constant([0, 1, 0, 1]), tf.math.l2_normalize(x, 1), gamma=2.0),
        [[0.3, -0.4], [-1.2, 0.8], [0.5, 0.7], [0.9, 0.2]],
    ),
    *by_both("keras.losses.binary_crossentropy", losses.binary_crossentropy, (T, P), scale=0.1),
    *by_both(
        "keras.losses.binary_crossentropy, logits",
        lambda z, x: losses.binary_crossentropy(z, x, from_logits=True),
        (T, L),
        (ONE_HOT, FAR),
        (T, ZERO),
    ),
    entry(
        "keras.losses.binary_crossentropy of a sigmoid",
        lambda x: losses.binary_crossentropy(tf.cast(T, x.dtype), ops.sigmoid(x)),
        L,
        ZERO,
    ),
    entry(
        "keras.losses.binary_crossentropy, smoothed",
        lambda x: losses.binary_crossentropy(tf.cast(ONE_HOT, x.dtype), x, label_smoothing=0.1),
        P,
        scale=0.1,
    ),
    *by_both("keras.losses.categorical_crossentropy", losses.categorical_crossentropy, (T, P), scale=0.1),
    *by_both(
        "keras.losses.categorical_crossentropy, logits",
        lambda z, x: losses.categorical_crossentropy(z, x, from_logits=True),
        (T, L),
        (ONE_HOT, FAR),
        (T, ZERO),
    ),
    entry(
        "keras.losses.categorical_crossentropy of a softmax",
        lambda x: losses.categorical_crossentropy(tf.cast(T, x.dtype), ops.softmax(x)),
        L,
        ZERO,
    ),
    entry(
        "keras.losses.categorical_crossentropy, labels of x",
        lambda x: losses.categorical_crossentropy(ops.softmax(x[:, ::-1]), x, from_logits=True),
        L,
        ZERO,
    ),
    entry(
        "keras.losses.categorical_crossentropy, smoothed, axis 0",
        lambda x: losses.categorical_crossentropy(
            tf.cast(ONE_HOT, x.dtype), x, from_logits=True, label_smoothing=0.1, axis=0
        ),
        L,
    ),
    entry(
        "keras.losses.sparse_categorical_crossentropy",
        lambda x: losses.sparse_categorical_crossentropy(SPARSE, x),
        P,
        scale=0.1,
    ),
    entry(
        "keras.losses.sparse_categorical_crossentropy, logits",
        lambda x: losses.sparse_categorical_crossentropy(SPARSE, x, from_logits=True),
        L,
        FAR,
        ZERO,
    ),
    entry(
        "keras.losses.sparse_categorical_crossentropy, a class ignored",
        lambda x: losses.sparse_categorical_crossentropy(SPARSE, x, from_logits=True, ignore_class=0),
        L,
    ),
    *by_both("keras.losses.binary_focal_crossentropy", losses.binary_focal_crossentropy, (T, P), scale=0.1),
    entry(
        "keras.losses.binary_focal_crossentropy, logits, balanced",
        lambda x: losses.binary_focal_crossentropy(
            tf.cast(ONE_HOT, x.dtype), x, from_logits=True, apply_class_balancing=True
        ),
        L,
        ZERO,
    ),
    *by_both("keras.losses.categorical_focal_crossentropy", losses.categorical_focal_crossentropy, (T, P), scale=0.1),
    entry(
        "keras.losses.categorical_focal_crossentropy, logits",
        lambda x: losses.categorical_focal_crossentropy(tf.cast(ONE_HOT, x.dtype), x, from_logits=True, gamma=1.0),
        L,
        ZERO,
    ),
    entry("keras.ops.binary_crossentropy", lambda x: ops.binary_crossentropy(tf.cast(T, x.dtype), x), P, scale=0.1),
    entry(
        "keras.ops.categorical_crossentropy",
        lambda x: ops.categorical_crossentropy(tf.cast(T, x.dtype), x, from_logits=True),
        L,
    ),
    entry(
        "keras.ops.sparse_categorical_crossentropy",
        lambda x: ops.sparse_categorical_crossentropy(SPARSE, x, from_logits=True),
        L,
    ),
    entry("keras.ops.psnr", lambda x, y: ops.psnr(x, y, 1.0), (P, T), scale=0.1),
]
ENTRIES = [*_TF, *_KERAS]
