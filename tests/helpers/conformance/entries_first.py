"""One entry of each kind: the thin slice."""

from __future__ import annotations

import tensorflow as tf

from .entry import entry, numbers

X = numbers(3, 2)

ENTRIES = [
    entry("tf.reduce_max, axis=0", lambda x: tf.reduce_max(x, 0), X, 0 * X),
    entry("tf.matmul, x by x", lambda x: x @ x, numbers(3, 3)),
]
