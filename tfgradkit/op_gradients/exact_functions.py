"""Functions of TensorFlow that stop or hide a derivative, replaced by exact ones while a function is traced.

Keras layers and users call them as ``tf.nn.moments`` and so on, so that replacing the attribute is enough. A function
that was traced before keeps the stock ones.

- ``tf.nn.moments`` stops the gradient at the mean inside the variance. That does not change the first derivative, since
  the deviations sum to zero, but every second derivative: Hessians, and weight gradients of a Jacobian, through
  LayerNormalization, GroupNormalization and a BatchNormalization in training.
- ``tf.image.hsv_to_rgb`` is an op without a gradient.
- ``tf.linalg.expm`` is differentiated through five approximants and a loop: a Hessian took half a minute.
- ``tf.nn.silu`` has a custom gradient, to save memory. It is right, but hides the ops inside from rules for each op:
  :func:`plain_silu` replaces it where such rules are used.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from .ops.images import hsv_to_rgb
from .ops.matrix_functions import expm

_lock = threading.RLock()


def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """As ``tf.nn.moments``; half precision is summed in float32, too."""
    del shift  # tf.nn.moments doesn't use it either
    with tf.name_scope(name or "moments"):
        x = tf.convert_to_tensor(x)
        wide = tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x
        mean = tf.reduce_mean(wide, axes, keepdims=True)
        variance = tf.reduce_mean(tf.math.squared_difference(wide, mean), axes, keepdims=keepdims)
        mean = mean if keepdims else tf.reshape(mean, tf.shape(variance))
        return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


_EXACT = ((tf.nn, "moments", moments), (tf.image, "hsv_to_rgb", hsv_to_rgb), (tf.linalg, "expm", expm))
_OF_STOCK = {getattr(module, name): function for module, name, function in _EXACT}


def exact(function: Any) -> Any:
    """The exact function where one of TensorFlow's is itself to be differentiated; else ``function``."""
    return _OF_STOCK.get(function, function) if inspect.isfunction(function) else function


@contextmanager
def exact_functions() -> Iterator[None]:
    """Within the block, functions that are traced call the exact functions."""
    with _lock:
        stock = []
        try:
            for module, name, function in _EXACT:
                stock.append((module, name, getattr(module, name)))
                setattr(module, name, function)
            yield
        finally:
            for module, name, function in stock:
                setattr(module, name, function)


def silu(features: Any, beta: Any = 1.0) -> tf.Tensor:
    """x·sigmoid(βx), as ``tf.nn.silu``."""
    features = tf.convert_to_tensor(features)
    return features * tf.sigmoid(tf.cast(beta, features.dtype) * features)


@contextmanager
def plain_silu() -> Iterator[None]:
    """Within the block, functions that are traced call :func:`silu` in place of ``tf.nn.silu`` and ``tf.nn.swish``."""
    with _lock:
        stock = tf.nn.silu, tf.nn.swish
        tf.nn.silu = tf.nn.swish = silu
        try:
            yield
        finally:
            tf.nn.silu, tf.nn.swish = stock
