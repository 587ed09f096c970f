"""Which element of each sample's result is explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import SignatureError
from .scores import Scores, flat


def chosen(target: Any, scores: Scores, x: Any) -> tf.Tensor:
    """``[B]``, int32: positions in the flattened results at x.

    Raises:
        SignatureError: there is no such element, or not one for each sample.
    """
    y = scores.source.call(x)
    values = flat(y, scores.source)
    count, size = values.shape
    if target is None:
        return tf.argmax(values, 1, tf.int32) if size else tf.zeros([count], tf.int32)
    shape = tuple(tf.nest.flatten(y)[0].shape[1:]) or (1,)
    numbers = _numbers(target, shape, scores)
    if numbers.shape not in ((), (count,)):
        raise _error("a target for each sample is needed", f"{count} integers", f"{numbers.shape[0]}", scores)
    return tf.constant(np.broadcast_to(numbers, [count]), tf.int32)


def _numbers(target: Any, shape: tuple[int, ...], scores: Scores) -> np.ndarray:
    size = int(np.prod(shape))
    if isinstance(target, tuple):
        if len(target) != len(shape) or not all(-n <= t < n for t, n in zip(target, shape, strict=True)):
            raise _error("there is no such element", f"a tuple of places in {shape}", str(target), scores)
        return np.ravel_multi_index([t % n for t, n in zip(target, shape, strict=True)], shape)
    numbers = np.asarray(target)
    if numbers.dtype.kind not in "iu" or numbers.ndim > 1:
        raise _error("a target is an integer", "an int, a tuple, or an array [B] of int", repr(target), scores)
    if np.any((numbers < -size) | (numbers >= size)):
        raise _error("there is no such element", f"0 to {size - 1}", str(target), scores)
    return numbers % size


def _error(what: str, expected: str, got: str, scores: Scores) -> SignatureError:
    return SignatureError(what, subject=scores.source.name, expected=expected, got=got)
