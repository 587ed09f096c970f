"""The values of a derivative at random arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...derivatives.derivative import Derivative
from ...differentiable import Differentiable
from ...errors import GradientError, SignatureError

POINTS = 8


@dataclass(frozen=True)
class Samples:
    """A block at several points.

    Attributes:
        values: ``[points, *block]``, all finite.
        precision: of the dtype of the derivative.
        notes: on points that were left out.
    """

    values: np.ndarray
    precision: float
    notes: tuple[str, ...]


def random_arguments(derivative: Derivative, specs: Sequence[Any]) -> list[list[Any]]:
    """Random arguments: for a batched function one set, with a sample for each point; else a set for each point.

    Raises:
        SignatureError: no specs, or a size that is not known.
    """
    source = derivative.source
    given = list(specs) or (None if source.input_specs is None else list(source.input_specs))
    if given is None:
        raise SignatureError(
            "the function has no specs of its own", subject=source.name, hint="pass a tf.TensorSpec for each argument"
        )
    random = np.random.default_rng(0)
    stacked = tf.nest.map_structure(lambda leaf: _random_points(random, leaf, source), given)
    if source.batched:
        return [derivative.converted(stacked)]
    return [
        derivative.converted(tf.nest.map_structure(lambda leaf, i=i: leaf[i] if tf.is_tensor(leaf) else leaf, stacked))
        for i in range(POINTS)
    ]


def sampled(derivative: Derivative, points: Sequence[list[Any]]) -> list[Samples]:
    """Each block at the points where it is finite.

    Raises:
        GradientError: there are no such points.
    """
    results = [derivative(*arguments) for arguments in points]
    parts = [result[0] if derivative.options.has_aux else result for result in results]
    blocks = zip(*(tf.nest.flatten(part) for part in parts), strict=True)
    return [_samples(list(tensors), derivative) for tensors in blocks]


def _samples(tensors: list[tf.Tensor], derivative: Derivative) -> Samples:
    dtype = tensors[0].dtype
    arrays = [tf.cast(tensor, tf.complex128 if dtype.is_complex else tf.float64).numpy() for tensor in tensors]
    values = arrays[0] if derivative.source.batched else np.stack(arrays)
    finite = np.isfinite(values).all(tuple(range(1, values.ndim)))
    precision = float(tf.experimental.numpy.finfo(dtype.real_dtype.as_numpy_dtype).eps)
    if not finite.any():
        raise GradientError(
            "the derivative is finite at none of the random points",
            subject=str(derivative),
            hint="pass a value for each argument, around which it is",
        )
    left_out = int((~finite).sum())
    notes = (f"at {left_out} of {len(values)} points it is not finite: these were left out",) if left_out else ()
    return Samples(values[finite], precision, notes)


def _random_points(random: np.random.Generator, leaf: Any, source: Differentiable) -> Any:
    """``[POINTS, …]`` for a spec or a value; another leaf unchanged."""
    if isinstance(leaf, tf.TensorSpec):
        return _from_spec(random, leaf, source)
    if not (tf.is_tensor(leaf) or isinstance(leaf, (np.ndarray, float))):
        return leaf
    value = tf.convert_to_tensor(leaf)
    rows = tf.gather(value, np.arange(POINTS) % max(1, len(value))) if source.batched else tf.stack([value] * POINTS)
    if not rows.dtype.is_floating:
        return rows
    factors = 1 + 0.1 * random.normal(size=rows.shape)
    factors[0] = 1
    return rows * tf.cast(factors, rows.dtype)


def _from_spec(random: np.random.Generator, spec: tf.TensorSpec, source: Differentiable) -> tf.Tensor:
    sample = None if spec.shape.rank is None else spec.shape.as_list()
    if sample is not None and source.batched:
        sample = sample[1:]
    if sample is None or None in sample:
        raise SignatureError("every size has to be known", subject=source.name, got=str(spec.shape))
    shape = [POINTS, *sample]
    if not (spec.dtype.is_floating or spec.dtype.is_complex):
        return tf.cast(random.integers(0, 2, shape), spec.dtype)
    numbers = random.normal(size=shape)
    numbers[::2] = np.abs(numbers[::2])  # half of them where roots and logarithms are defined
    return tf.cast(numbers, spec.dtype)
