"""Gradients of determinants: by cofactors, which a singular matrix has, too.

TensorFlow's are det(A) A⁻ᴴ, without the conjugate of a complex determinant. Small matrices' cofactors are polynomials.
Those of larger ones come from the inverse unless a matrix of the batch is singular, or so near that its inverse has few
right digits: then from the determinants of the minors, which gives every order of derivatives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from ..registry import take_over

# Of larger ones the minors are too many, n² of n³ operations.
_LARGEST_BY_MINORS = 32


@take_over("MatrixDeterminant")
def _determinant(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    a, determinant = tf.math.conj(op.inputs[0]), tf.math.conj(op.outputs[0])
    return upstream[..., None, None] * _cofactors(a, determinant)


def _cofactors(a: tf.Tensor, determinant: tf.Tensor) -> tf.Tensor:
    size = a.shape[-1]
    if size is not None and size <= 3:
        return (tf.ones_like, _cofactors_of_two, _cofactors_of_three)[max(size - 1, 0)](a)
    if size is not None and size > _LARGEST_BY_MINORS:
        return determinant[..., None, None] * inverse_transposed(a, tf.equal(determinant, 0))
    near = tf.abs(determinant) <= _near_zero(a)
    return tf.cond(
        tf.reduce_any(near),
        lambda: _cofactors_by_minors(a),
        lambda: determinant[..., None, None] * inverse_transposed(a, near),
    )


def _near_zero(a: tf.Tensor) -> tf.Tensor:
    """Below this the inverse has few right digits: a small part of Hadamard's bound, the product of the rows' norms.

    The determinant of a random matrix is about e^(−n/2) of the bound.
    """
    norms = tf.sqrt(tf.reduce_sum(tf.abs(a) ** 2, -1))
    size = tf.cast(tf.shape(a)[-1], norms.dtype)
    precision = float(np.finfo(norms.dtype.as_numpy_dtype).eps) ** 0.6
    return precision * tf.exp(-size / 2) * tf.reduce_prod(norms, -1)


def inverse_transposed(a: tf.Tensor, singular: tf.Tensor) -> tf.Tensor:
    """A⁻ᵀ; NaN, and no error, where a matrix is singular."""
    singular = singular[..., None, None]
    safe = tf.where(singular, tf.eye(tf.shape(a)[-1], dtype=a.dtype), a)
    nan = tf.where(singular, tf.constant(math.nan, a.dtype.real_dtype), tf.ones([], a.dtype.real_dtype))
    return tf.linalg.matrix_transpose(tf.linalg.inv(safe)) * tf.cast(nan, a.dtype)


def _cofactors_of_two(a: tf.Tensor) -> tf.Tensor:
    above = tf.stack([a[..., 1, 1], -a[..., 1, 0]], -1)
    below = tf.stack([-a[..., 0, 1], a[..., 0, 0]], -1)
    return tf.stack([above, below], -2)


def _cofactors_of_three(a: tf.Tensor) -> tf.Tensor:
    """The cross product of the other two rows."""
    after = _turned_rows(a)
    before = _turned_rows(after)
    u, v = _turned(after), _turned(before)
    return u * _turned(v) - _turned(u) * v


def _turned_rows(a: tf.Tensor) -> tf.Tensor:
    return tf.concat([a[..., 1:, :], a[..., :1, :]], -2)


def _turned(a: tf.Tensor) -> tf.Tensor:
    return tf.concat([a[..., 1:], a[..., :1]], -1)


def _cofactors_by_minors(a: tf.Tensor) -> tf.Tensor:
    size = tf.shape(a)[-1] if a.shape[-1] is None else a.shape[-1]
    numbers = tf.range(size - 1)[None]
    # Row i: all but i.
    kept = numbers + tf.cast(numbers >= tf.range(size)[:, None], tf.int32)
    rows = tf.gather(a, kept, axis=a.shape.rank - 2)  # [..., n, n - 1, n]
    minors = tf.gather(rows, kept, axis=a.shape.rank)  # [..., n, n - 1, n, n - 1]
    signs = 1 - 2 * ((tf.range(size)[:, None] + tf.range(size)) % 2)
    last = a.shape.rank
    order = [*range(last - 2), last - 2, last, last - 1, last + 1]
    return tf.linalg.det(tf.transpose(minors, order)) * tf.cast(signs, a.dtype)


@take_over("LogMatrixDeterminant")
def _log_determinant(op: Any, by_sign: tf.Tensor, by_logarithm: tf.Tensor) -> tf.Tensor:
    """d log|det A| = Re tr(A⁻¹ dA); the sign of a complex one turns by i Im tr(A⁻¹ dA)."""
    a, logarithm = op.inputs[0], op.outputs[1]
    weight = by_logarithm
    if a.dtype.is_complex:
        # The sign that was computed is kept for no tape.
        turned = tf.math.imag(by_sign * tf.math.conj(tf.linalg.slogdet(a)[0]))
        weight = tf.complex(tf.math.real(by_logarithm), turned)
    singular = tf.math.is_inf(tf.math.real(logarithm))
    return weight[..., None, None] * inverse_transposed(tf.math.conj(a), singular)
