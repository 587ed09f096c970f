"""``tf.nn.silu`` without a gradient of its own.

TensorFlow writes that gradient out to save memory. It is what differentiation gives, but a custom gradient
hides what it is, and a rule for each op can then not be used.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

_lock = threading.RLock()


@contextmanager
def plain_silu() -> Iterator[None]:
    """Within the block, what is traced finds :func:`silu` in place of ``tf.nn.silu`` and ``tf.nn.swish``."""
    with _lock:
        stock = tf.nn.silu, tf.nn.swish
        tf.nn.silu = tf.nn.swish = silu
        try:
            yield
        finally:
            tf.nn.silu, tf.nn.swish = stock


def silu(features: Any, beta: Any = 1.0) -> tf.Tensor:
    """x·sigmoid(βx), as ``tf.nn.silu``."""
    features = tf.convert_to_tensor(features)
    return features * tf.sigmoid(tf.cast(beta, features.dtype) * features)
