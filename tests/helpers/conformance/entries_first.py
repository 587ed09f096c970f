"""One entry of each kind: the thin slice."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from .entry import entry, numbers

A = np.array([1.0, 2.0, 3.0])
X = numbers(3, 2)

ENTRIES = [
    entry("tf.tanh", tf.tanh, X, 30 * X, orders=3),
    entry("tf.nn.relu", tf.nn.relu, X, 0 * X),
    entry("tf.sqrt", tf.sqrt, A, 0 * A),
    entry("tf.reduce_max, axis=0", lambda x: tf.reduce_max(x, 0), X, 0 * X),
    entry("tf.matmul, x by x", lambda x: x @ x, numbers(3, 3)),
    entry("keras.ops.softplus", keras.ops.softplus, A, 0 * A, 100 * A, orders=3),
]
