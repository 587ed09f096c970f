"""Gradients of eigenvalues and singular values, and of their vectors where these are defined.

TensorFlow's divide by the gaps between values, and by next to nothing where they are equal: a finite number, although
the vectors of equal values are any basis, and a derivative that depends on them is none. Here it is NaN, and the gaps
of values that differ are exact. Functions of the values alone have their derivative at equal values, too.

Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation" (2008); for the
thin decomposition J. Townsend, "Differentiating the singular value decomposition" (2016).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from ..registry import take_over


@take_over("SelfAdjointEigV2")
def _self_adjoint_eig(op: Any, by_values: tf.Tensor, by_vectors: tf.Tensor) -> tf.Tensor:
    """V (diag(ē) + F ∘ Vᴴ V̄) Vᴴ, F_ij = 1/(e_j − e_i); of the lower triangle alone."""
    a, e = op.inputs[0], op.outputs[0]
    by_values = _real(by_values)
    if op.get_attr("compute_v"):
        v = op.outputs[1]
        inner = tf.linalg.diag(by_values) + _inverse_gaps(e, by_vectors) * tf.matmul(v, by_vectors, adjoint_a=True)
    else:
        v, inner = tf.linalg.eigh(a)[1], tf.linalg.diag(by_values)
    gradient = tf.matmul(v, tf.matmul(inner, v, adjoint_b=True))
    lower = tf.linalg.band_part(gradient + tf.linalg.adjoint(gradient), -1, 0)
    return tf.linalg.set_diag(lower, tf.linalg.diag_part(lower) / 2)


@take_over("Eig")
def _eig(op: Any, by_values: tf.Tensor, by_vectors: tf.Tensor) -> tf.Tensor:
    """V⁻ᴴ (diag(ē) + F̄ ∘ (Vᴴ V̄ − Vᴴ V Re diag(Vᴴ V̄))) Vᴴ (Boeddeker et al., arXiv 1701.00392, eq. 4.77)."""
    a, e = op.inputs[0], op.outputs[0]
    inner = tf.linalg.diag(by_values)
    if op.get_attr("compute_v"):
        v = op.outputs[1]
        turned = tf.matmul(v, by_vectors, adjoint_a=True)
        lengths = tf.linalg.diag(tf.cast(tf.math.real(tf.linalg.diag_part(turned)), v.dtype))
        kept = turned - tf.matmul(tf.matmul(v, v, adjoint_a=True), lengths)
        inner += tf.math.conj(_inverse_gaps(e, by_vectors)) * kept
    else:
        v = tf.linalg.eig(a)[1]
    adjoint = tf.linalg.adjoint(v)
    gradient = tf.linalg.solve(adjoint, tf.matmul(inner, adjoint))
    return gradient if a.dtype.is_complex else tf.cast(tf.math.real(gradient), a.dtype)


def _real(x: tf.Tensor) -> tf.Tensor:
    """The part that counts of the gradient of what is real, though its type is complex."""
    return tf.cast(tf.math.real(x), x.dtype) if x.dtype.is_complex else x


def _inverse_gaps(e: tf.Tensor, *by_vectors: tf.Tensor) -> tf.Tensor:
    """1/(e_j − e_i) off the diagonal; where they are equal NaN if a gradient by one of their vectors is asked, else 0."""
    gaps = e[..., None, :] - e[..., :, None]
    equal = tf.abs(gaps) <= _rounding(e)[..., None]
    asked = tf.reduce_any(tf.stack([tf.reduce_any(tf.not_equal(g, 0), -2) for g in by_vectors]), 0)
    undefined = asked[..., None, :] | asked[..., :, None]
    diagonal = tf.eye(tf.shape(e)[-1], dtype=tf.bool)
    of_equal = tf.where(undefined & ~diagonal, tf.constant(math.nan, e.dtype.real_dtype), tf.zeros([], e.dtype.real_dtype))
    return tf.where(equal, tf.cast(of_equal, e.dtype), 1 / tf.where(equal, tf.ones([], e.dtype), gaps))


def _rounding(e: tf.Tensor) -> tf.Tensor:
    """[..., 1]: how far values that are equal may differ."""
    magnitudes = tf.abs(e)
    size = tf.cast(tf.shape(e)[-1], magnitudes.dtype)
    precision = 4 * float(np.finfo(magnitudes.dtype.as_numpy_dtype).eps)
    return precision * size * tf.reduce_max(magnitudes, -1, keepdims=True)


@take_over("Svd")
def _svd(op: Any, by_values: tf.Tensor, by_u: tf.Tensor, by_v: tf.Tensor) -> tf.Tensor:
    a = op.inputs[0]
    by_values = tf.cast(by_values, a.dtype)
    if not op.get_attr("compute_uv"):
        _, u, v = tf.linalg.svd(a)
        return tf.ensure_shape(tf.matmul(u * by_values[..., None, :], v, adjoint_b=True), a.shape)
    rows, columns = a.shape[-2:]
    if rows is None or columns is None:
        raise NotImplementedError("the gradient of Svd by a matrix of unknown size")
    if op.get_attr("full_matrices") and abs(rows - columns) > 1:
        raise NotImplementedError("the gradient of Svd with full_matrices where rows and columns differ by more than 1")
    s, u, v = op.outputs
    if rows > columns:  # Aᴴ = V S Uᴴ
        gradient = tf.linalg.adjoint(_wide_svd(s, v, u, by_values, by_v, by_u))
    else:
        gradient = _wide_svd(s, u, v, by_values, by_u, by_v)
    return tf.ensure_shape(gradient, a.shape)


def _wide_svd(
    s: tf.Tensor, u: tf.Tensor, v: tf.Tensor, by_s: tf.Tensor, by_u: tf.Tensor, by_v: tf.Tensor
) -> tf.Tensor:
    """Where there are at least as many columns as rows; the columns of v beyond the rows' number are a complement."""
    count = s.shape[-1]
    v1, by_v1 = v[..., :count], by_v[..., :count]
    wide = v.shape[-2] > count
    values = tf.cast(s, u.dtype)
    gaps = _inverse_gaps(s, by_u, by_v1) / (s[..., None, :] + s[..., :, None] + tf.eye(count, dtype=s.dtype))
    in_u, in_v = (tf.cast(gaps, u.dtype) * tf.matmul(x, g, adjoint_a=True) for x, g in ((u, by_u), (v1, by_v1)))
    inner = tf.linalg.diag(by_s) + (in_u + tf.linalg.adjoint(in_u)) * values[..., None, :]
    inner += values[..., :, None] * (in_v + tf.linalg.adjoint(in_v))
    if u.dtype.is_complex:
        phases = tf.linalg.diag_part(tf.matmul(v1, by_v1, adjoint_a=True))
        inner += tf.linalg.diag(_inverse_values(s, by_v1, u.dtype) * (tf.math.conj(phases) - phases) / 2)
    gradient = tf.matmul(u, tf.matmul(inner, v1, adjoint_b=True))
    if not wide:
        return gradient
    adjoint = tf.linalg.adjoint(by_v1)
    outside = adjoint - tf.matmul(tf.matmul(adjoint, v1), v1, adjoint_b=True)
    if v.shape[-1] > count:
        v2, by_v2 = v[..., count:], by_v[..., count:]
        outside -= tf.matmul(tf.matmul(v1, by_v2, adjoint_a=True), v2, adjoint_b=True)
    inverse = _inverse_values(s, by_v1 if v.shape[-1] == count else tf.concat([by_v1, by_v[..., count:]], -1), u.dtype)
    return gradient + tf.matmul(u * inverse[..., None, :], outside)


def _inverse_values(s: tf.Tensor, by_vectors: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """1/s; where s is zero NaN if a gradient by its vector is asked, else 0."""
    zero = s <= _rounding(s)
    asked = tf.reduce_any(tf.not_equal(by_vectors, 0), -2)[..., : s.shape[-1]]
    of_zero = tf.where(asked, tf.constant(math.nan, s.dtype), tf.zeros([], s.dtype))
    return tf.cast(tf.where(zero, of_zero, 1 / tf.where(zero, tf.ones([], s.dtype), s)), dtype)
