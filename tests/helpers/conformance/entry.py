"""An entry of the table of conformance: a function through ops of TensorFlow, and where it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

Point = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Entry:
    """A function of float64 tensors, to one or several floating or complex ones.

    Attributes:
        name: unique: the function, and what is special about its attributes.
        f: the function.
        points: where: the arguments of each point, of the same shapes. The first is generic: no ties, no zeros.
        orders: up to which derivative differences are taken.
        scale: the length over which f changes; differences go up to 0.3 of it.
        known: by property, the state that is expected in place of "right", and why: what nothing can be done about.
        skip: properties that have no meaning for this function, and why.
        tolerance: relative, for what is compared.
    """

    name: str
    f: Callable[..., Any]
    points: tuple[Point, ...]
    orders: int = 2
    scale: float = 1.0
    known: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    skip: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-6

    def tensors(self, dtype: tf.DType = tf.float64) -> list[list[tf.Tensor]]:
        """The points as tensors."""
        return [[tf.constant(x, dtype) for x in point] for point in self.points]

    def real(self, *xs: tf.Tensor) -> tf.Tensor:
        """f with one floating result: complex ones as pairs, several ones flat, one after the other."""
        ys = [as_real(y) for y in tf.nest.flatten(self.f(*xs)) if is_number(y)]
        return ys[0] if len(ys) == 1 else tf.concat([tf.reshape(y, [-1]) for y in ys], 0)


def entry(name: str, f: Callable[..., Any], *points: Any, **keywords: Any) -> Entry:
    """An entry whose points are arrays, for one argument, or tuples of arrays."""
    tuples = tuple(point if isinstance(point, tuple) else (point,) for point in points)
    return Entry(name, f, tuple(tuple(np.asarray(x, np.float64) for x in point) for point in tuples), **keywords)


def numbers(*shape: int, low: float = -1.5, high: float = 1.5, seed: int = 0) -> np.ndarray:
    """Uniform in [low, high)."""
    return np.random.default_rng(seed).uniform(low, high, shape)


def is_number(y: Any) -> bool:
    """Whether a derivative of ``y`` can be asked for."""
    return tf.is_tensor(y) and (y.dtype.is_floating or y.dtype.is_complex)


def as_real(y: tf.Tensor) -> tf.Tensor:
    """A complex tensor as pairs along a new last axis."""
    return tf.stack([tf.math.real(y), tf.math.imag(y)], -1) if y.dtype.is_complex else y


def as_complex(x: tf.Tensor) -> tf.Tensor:
    """Pairs along the last axis as complex numbers."""
    return tf.complex(x[..., 0], x[..., 1])
