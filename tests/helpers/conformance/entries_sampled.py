"""Losses of sequences and of sampled classes, and random numbers by the parameters of their distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .entries_pools import narrow
from .entry import Entry, entry, numbers

N, R, rnd = tf.nn, tf.raw_ops, tf.random
LOGITS = numbers(4, 1, 3)
LABELS = np.array([[1, 2]], np.int32)
OTHER_NUMBERS = {"float32": "other random numbers"}
# Figurnov et al. 2018: right in the mean, where samples are rejected; one sample's own path is another.
WHY = "the implicit derivative of a sample, by its distribution: not along the path of the numbers it is made of"
IMPLICIT: dict[str, Any] = {"known": dict.fromkeys(("first", "second"), ("wrong", WHY)), "skip": OTHER_NUMBERS}
# XLA's kernel inverts the distribution: other numbers, so that a compiled derivative is that of another sample.
IMPLICIT_TOO = {**IMPLICIT, "skip": {**OTHER_NUMBERS, "compiled": "other random numbers"}}


def _ctc() -> list[Entry]:
    sparse = tf.SparseTensor(np.array([[0, 0], [0, 1]], np.int64), np.array([1, 0], np.int32), [1, 2])
    dense: dict[str, Any] = {"label_length": [2], "logit_length": [4]}
    old = {
        "labels_indices": np.array([[0, 0], [0, 1]], np.int64),
        "labels_values": np.array([1, 0], np.int32),
        "sequence_length": np.array([4], np.int32),
    }
    return [
        entry("tf.nn.ctc_loss, dense labels", narrow(lambda x: N.ctc_loss(LABELS, x, **dense)), LOGITS, tolerance=1e-3),
        entry(
            "tf.nn.ctc_loss, blank last",
            narrow(lambda x: N.ctc_loss(LABELS - 1, x, **dense, blank_index=2)),
            LOGITS,
            tolerance=1e-3,
        ),
        entry(
            "tf.nn.ctc_loss, batch first, unique labels",
            narrow(
                lambda x: N.ctc_loss(LABELS, x, **dense, logits_time_major=False, unique=N.ctc_unique_labels(LABELS))
            ),
            LOGITS.swapaxes(0, 1),
            tolerance=1e-3,
        ),
        entry("CTCLoss", lambda x: R.CTCLoss(inputs=x, **old)[0], LOGITS),
        entry(
            "tf.compat.v1.nn.ctc_loss",
            lambda x: tf.compat.v1.nn.ctc_loss(sparse, x, [4], ctc_merge_repeated=False),
            LOGITS,
        ),
        entry("keras.losses.ctc", lambda x: tf.keras.losses.ctc(np.array([[1, 2]]), x), LOGITS.swapaxes(0, 1)),
        entry(
            "keras.ops.ctc_loss",
            lambda x: tf.keras.ops.ctc_loss(np.array([[1, 2]]), x, np.array([2]), np.array([4])),
            LOGITS.swapaxes(0, 1),
        ),
    ]


def _sampled() -> list[Entry]:
    samples = (np.array([0, 3], np.int64), np.array([[0.3]]), np.array([0.5, 0.2]))
    points = (numbers(4, 2), numbers(4, seed=1), numbers(1, 2, seed=2))

    def loss(f: Any, w: tf.Tensor, b: tf.Tensor, x: tf.Tensor, **more: Any) -> tf.Tensor:
        ids, true, sampled = samples
        drawn = (tf.constant(ids), tf.cast(true, x.dtype), tf.cast(sampled, x.dtype))
        return f(w, b, np.array([[1]], np.int64), x, 2, 4, sampled_values=drawn, **more)

    return [
        entry("tf.nn.nce_loss", lambda *xs: loss(N.nce_loss, *xs), points),
        entry(
            "tf.nn.nce_loss, no accidental hits", lambda *xs: loss(N.nce_loss, *xs, remove_accidental_hits=True), points
        ),
        entry("tf.nn.sampled_softmax_loss", lambda *xs: loss(N.sampled_softmax_loss, *xs), points),
    ]


def _random() -> list[Entry]:
    alpha, beta = np.array([0.7, 2.5]), np.array([1.3, 0.6])
    key, counter = tf.constant([7], tf.uint64), tf.constant([1, 2], tf.uint64)
    uniform = lambda x: rnd.stateless_uniform([2], [1, 2], dtype=x.dtype)  # noqa: E731
    return [
        entry(
            "tf.random.stateless_gamma",
            lambda a: rnd.stateless_gamma([2], [1, 2], a, dtype=a.dtype),
            alpha,
            scale=0.1,
            **IMPLICIT,
        ),
        entry(
            "tf.random.stateless_gamma by both",
            lambda a, b: rnd.stateless_gamma([2, 2], [1, 2], a, b, dtype=a.dtype),
            (alpha, beta),
            scale=0.1,
            **IMPLICIT,
        ),
        entry(
            "StatelessRandomGammaV3",
            lambda a: R.StatelessRandomGammaV3(shape=[3, 2], key=key, counter=counter, alg=1, alpha=a),
            alpha,
            scale=0.1,
            **IMPLICIT,
        ),
        entry(
            "StatelessRandomGammaV2",
            lambda a: R.StatelessRandomGammaV2(shape=[3, 2], seed=[1, 2], alpha=a),
            alpha,
            scale=0.1,
            **IMPLICIT,
        ),
        entry(
            "RandomGammaGrad",
            lambda a, x: R.RandomGammaGrad(alpha=a, sample=x),
            (np.array([0.7, 2.5]), np.array([0.4, 1.0])),
            scale=0.1,
        ),
        entry(
            "tf.random.stateless_parameterized_truncated_normal",
            lambda m, s, a, b: rnd.stateless_parameterized_truncated_normal([3], [1, 2], m, s, a, b),
            (np.array(0.3), np.array(1.2), np.array(-1.0), np.array(2.0)),
            **IMPLICIT_TOO,
        ),
        entry(
            "tf.random.stateless_parameterized_truncated_normal, tails",
            lambda m, s, a, b: rnd.stateless_parameterized_truncated_normal([3], [1, 2], m, s, a, b),
            (np.array(0.3), np.array(1.2), np.array(4.0), np.array(6.0)),
            **IMPLICIT_TOO,
        ),
        entry(
            "tf.random.stateless_normal, scaled",
            lambda m, s: m + s * rnd.stateless_normal([2], [1, 2], dtype=m.dtype),
            (alpha, beta),
            skip=OTHER_NUMBERS,
        ),
        entry(
            "tf.random.stateless_uniform by its ends",
            lambda a, b: rnd.stateless_uniform([2], [1, 2], a, b, dtype=a.dtype),
            (np.array(0.3), np.array(1.2)),
            skip=OTHER_NUMBERS,
        ),
        entry(
            "tf.random.stateless_truncated_normal by its parameters",
            lambda m, s: rnd.stateless_truncated_normal([2], [1, 2], m, s, dtype=m.dtype),
            (np.array(0.3), np.array(1.2)),
            skip=OTHER_NUMBERS,
        ),
        entry(
            "gumbel softmax by its logits",
            lambda x: N.softmax((x - tf.math.log(-tf.math.log(uniform(x)))) / 0.5),
            alpha,
            skip=OTHER_NUMBERS,
        ),
        entry(
            "tf.nn.experimental.stateless_dropout",
            lambda x: N.experimental.stateless_dropout(x, 0.4, [1, 2]) ** 2,
            numbers(2, 3),
            skip=OTHER_NUMBERS,
        ),
    ]


ENTRIES = [*_ctc(), *_sampled(), *_random()]
