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
    """1/(e_j − e_i) off the diagonal; of equal ones NaN if a gradient by one of their vectors is asked, else 0."""
    gaps = e[..., None, :] - e[..., :, None]
    equal = tf.abs(gaps) <= _rounding(e)[..., None]
    asked = tf.reduce_any(tf.stack([tf.reduce_any(tf.not_equal(g, 0), -2) for g in by_vectors]), 0)
    undefined = asked[..., None, :] | asked[..., :, None]
    diagonal = tf.eye(tf.shape(e)[-1], dtype=tf.bool)
    of_equal = tf.where(
        undefined & ~diagonal, tf.constant(math.nan, e.dtype.real_dtype), tf.zeros([], e.dtype.real_dtype)
    )
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
    s, u, v = op.outputs
    s = tf.math.real(s)  # the op's own are complex where the matrix is
    full = op.get_attr("full_matrices")
    if full and (not a.shape[-2:].is_fully_defined() or abs(a.shape[-2] - a.shape[-1]) > 1):
        raise NotImplementedError("the gradient of Svd with full_matrices where rows and columns differ by more than 1")
    values, (u1, by_u1, v1, by_v1) = tf.cast(s, u.dtype), (x[..., : tf.shape(s)[-1]] for x in (u, by_u, v, by_v))
    gaps = tf.cast(_inverse_gaps(s, by_u1, by_v1) / _sums(s), u.dtype)
    in_u, in_v = (gaps * tf.matmul(x, g, adjoint_a=True) for x, g in ((u1, by_u1), (v1, by_v1)))
    inner = tf.linalg.diag(by_values) + (in_u + tf.linalg.adjoint(in_u)) * values[..., None, :]
    inner += values[..., :, None] * (in_v + tf.linalg.adjoint(in_v))
    if u.dtype.is_complex:
        phases = tf.linalg.diag_part(tf.matmul(v1, by_v1, adjoint_a=True))
        inner += tf.linalg.diag(_inverse_values(s, by_v, u) * (tf.math.conj(phases) - phases) / 2)
    gradient = tf.matmul(u1, tf.matmul(inner, v1, adjoint_b=True))
    gradient += tf.matmul(_complement(s, u, by_u), v1, adjoint_b=True)
    gradient += tf.matmul(u1, _complement(s, v, by_v), adjoint_b=True)
    return tf.ensure_shape(gradient, a.shape)


def _sums(s: tf.Tensor) -> tf.Tensor:
    """s_i + s_j, not zero where both are."""
    sums = s[..., None, :] + s[..., :, None]
    return tf.where(tf.equal(sums, 0), tf.ones([], s.dtype), sums)


def _complement(s: tf.Tensor, v: tf.Tensor, by_v: tf.Tensor) -> tf.Tensor:
    """The part of v̄ S⁻¹ outside of the span of the vectors v, where there is one; and by the vectors beyond."""
    length, count = v.shape[-2], s.shape[-1]
    if length is not None and length == count:
        return tf.zeros_like(v)
    v1, by_v1 = v[..., : tf.shape(s)[-1]], by_v[..., : tf.shape(s)[-1]]
    outside = by_v1 - tf.matmul(v1, tf.matmul(v1, by_v1, adjoint_a=True))
    inverse = _inverse_values(s, by_v, v)
    if v.shape[-1] is not None and v.shape[-1] != count:
        v2, by_v2 = v[..., count:], by_v[..., count:]
        outside -= tf.matmul(v2, tf.matmul(by_v2, v1, adjoint_a=True))
    inverse = tf.where(tf.shape(v)[-2] > tf.shape(s)[-1], inverse, tf.zeros_like(inverse))
    return outside * inverse[..., None, :]


def _inverse_values(s: tf.Tensor, by_vectors: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """1/s; where s is zero NaN if a gradient by its vector is asked, or by one beyond, else 0."""
    zero = s <= _rounding(s)
    asked = tf.reduce_any(tf.not_equal(by_vectors, 0), -2)
    beyond = tf.reduce_any(asked[..., tf.shape(s)[-1] :], -1, keepdims=True)
    asked = asked[..., : tf.shape(s)[-1]] | beyond
    of_zero = tf.where(asked, tf.constant(math.nan, s.dtype), tf.zeros([], s.dtype))
    return tf.cast(tf.where(zero, of_zero, 1 / tf.where(zero, tf.ones([], s.dtype), s)), like.dtype)
