"""Gradients of an output for output gradients that differ from element to element.

A tape's gradient is that of the sum of all elements, so it is zero where the sum doesn't change though the elements do:
a softmax, ``z - mean(z)``, ``stack([z, -z])``.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import tensorflow as tf

_SEEDS = 3


class Gradients(Protocol):
    """(target, sources, output gradients) ↦ the tape's gradients; ones as output gradients where they are left out."""

    def __call__(self, target: Any, sources: list[Any], output_gradients: Any = None, /) -> list[Any]:
        """The gradient by each source."""


def seeded_gradients(gradients: Gradients, target: Any, sources: list[Any]) -> list[Any]:
    """For the tape's own output gradients, then for random ones, the gradient by each source, in one list.

    Those that can't be asked, as more than one of a ``tf.py_function``, are left out.
    """
    found = _asked(gradients, target, sources, None)
    for seed in range(_SEEDS):
        found += _asked(gradients, target, sources, random_like(target, seed))
    return found


def random_like(target: Any, seed: int = 0) -> Any:
    """Output gradients for a target: random numbers of either sign, none of them small."""
    tensor, generator = tf.convert_to_tensor(target), np.random.default_rng(seed)
    values = generator.uniform(0.5, 1.5, tensor.shape) * generator.choice([-1.0, 1.0], tensor.shape)
    return tf.cast(values, tensor.dtype)


def is_nonzero(gradient: Any) -> bool:
    """Whether there is a gradient, and a component of it is not zero; NaN is not."""
    return gradient is not None and bool(tf.reduce_any(tf.convert_to_tensor(gradient) != 0))


def _asked(gradients: Gradients, target: Any, sources: list[Any], seed: Any) -> list[Any]:
    try:
        return gradients(target, sources, seed)
    except Exception:  # a gradient function may raise anything, or want what is gone after the first time
        return [None] * len(sources)
