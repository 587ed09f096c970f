"""Inverses of small dense matrices, a batch at a time, where one may be singular and the others not.

Few unknowns are eliminated with plain tensor operations, written out, which every target compiles (Golub &
Van Loan, "Matrix Computations", 4th ed., ch. 3.4); more by ``tf.linalg.inv``.
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import tensorflow as tf

# Up to here elimination is written out: some ten ops a column, all element-wise.
FEW = 8


def inverted(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The inverses of ``[B, n, n]``, and which of them don't exist in this precision: ``[B]``.

    What counts is the largest Σ_j |A⁻¹ᵢⱼ||Aⱼᵢ|, a bound of the condition number from below that the units of
    equations and unknowns don't change (Bauer, "Optimally scaled matrices", 1963).
    """
    finite = tf.reduce_all(tf.math.is_finite(matrix), [1, 2])
    size = matrix.shape[-1]
    unit = tf.eye(size, dtype=matrix.dtype)
    sound = tf.where(finite[:, None, None], matrix, unit)
    inverse = _eliminated(sound) if size <= FEW else tf.linalg.inv(_regular(sound))
    growth = tf.reduce_max(tf.reduce_sum(tf.abs(inverse) * tf.abs(tf.transpose(sound, [0, 2, 1])), 2), 1)
    magnitude = tf.abs(sound)
    empty = tf.reduce_any(tf.reduce_max(magnitude, 1) == 0, 1) | tf.reduce_any(tf.reduce_max(magnitude, 2) == 0, 1)
    # Not ~(growth < limit): TensorFlow makes that growth >= limit, which NaN isn't.
    unknown = ~tf.math.is_finite(growth) | ~finite
    return inverse, (growth >= 0.1 / epsilon(matrix.dtype)) | unknown | empty


def times(matrix: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """``[B, n, n]`` by ``[B, n]``; of few unknowns without a matrix product, which some targets lack in a batch."""
    if matrix.shape[-1] <= FEW:
        return tf.reduce_sum(matrix * vector[:, None, :], 2)
    return tf.linalg.matvec(matrix, vector)


def _eliminated(matrix: tf.Tensor) -> tf.Tensor:
    """Gauss–Jordan elimination with partial pivoting."""
    size = matrix.shape[-1]
    unit = tf.eye(size, dtype=matrix.dtype)
    wide = tf.concat([matrix, tf.zeros_like(matrix) + unit], 2)
    return reduce(_column_eliminated, range(size), wide)[:, :, size:]


def _column_eliminated(wide: tf.Tensor, column: int) -> tf.Tensor:
    size = wide.shape[1]
    here = tf.constant(np.arange(size) == column)[None, :, None]
    best = column + tf.argmax(tf.abs(wide[:, column:, column]), 1, output_type=tf.int32)
    chosen = tf.equal(best[:, None], tf.range(size))[:, :, None]
    pivot_row = tf.reduce_sum(tf.where(chosen, wide, tf.zeros_like(wide)), 1, keepdims=True)
    swapped = tf.where(chosen, wide[:, column : column + 1], wide)
    # A zero pivot makes infinities: they say that the matrix is singular.
    row = pivot_row / pivot_row[:, :, column : column + 1]
    below = swapped - swapped[:, :, column : column + 1] * row
    return tf.where(here, row, below)


def _regular(matrix: tf.Tensor) -> tf.Tensor:
    """The matrix, its diagonal changed by a rounding: ``tf.linalg.inv`` fails for the whole batch at one zero pivot."""
    size = matrix.shape[-1]
    rows = tf.reduce_max(tf.abs(matrix), 2)
    scale = tf.where(rows > 0, rows, tf.ones_like(rows))
    uneven = tf.constant(1 + np.modf(math.sqrt(2) * np.arange(1, size + 1))[0], matrix.dtype)
    return matrix + tf.linalg.diag(scale * uneven * epsilon(matrix.dtype))


def epsilon(dtype: tf.DType) -> float:
    """The distance from 1 to the next number."""
    return float(tf.experimental.numpy.finfo(dtype.as_numpy_dtype).eps)
