"""Functions of TensorFlow that stop a derivative, replaced by exact ones while a function is traced.

Keras layers and users call them as ``tf.nn.moments`` and so on, so that replacing the attribute is
enough. A function that was traced before keeps what it had then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from .images import hsv_to_rgb
from .moments import moments

_SUBSTITUTES = ((tf.nn, "moments", moments), (tf.image, "hsv_to_rgb", hsv_to_rgb))
_lock = threading.RLock()


@contextmanager
def exact_functions() -> Iterator[None]:
    """Within the block, what is traced finds the exact functions."""
    with _lock:
        stock = [(module, name, getattr(module, name)) for module, name, _ in _SUBSTITUTES]
        try:
            for place in _SUBSTITUTES:
                setattr(*place)
            yield
        finally:
            for place in stock:
                setattr(*place)
