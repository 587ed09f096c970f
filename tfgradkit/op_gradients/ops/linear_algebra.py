"""Gradients of matrix decompositions and functions that TensorFlow 2.21 lacks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import by_formula, register


@register("Lu")
def _lu(op: Any, upstream: tf.Tensor, _: Any) -> tf.Tensor:
    """P A = L U: Ā = Pᵀ L⁻ᴴ (tril(Lᴴ L̄, −1) + triu(Ū Uᴴ)) U⁻ᴴ (de Hoog, Anderssen & Lukas 2011)."""
    factors, permutation = op.outputs
    upper = tf.linalg.band_part(factors, 0, -1)
    lower = tf.linalg.set_diag(factors - upper, tf.ones_like(tf.linalg.diag_part(factors)))
    from_upper = tf.linalg.band_part(upstream, 0, -1)
    from_lower = upstream - from_upper
    inner = _strictly_lower(tf.matmul(lower, from_lower, adjoint_a=True))
    inner += tf.linalg.band_part(tf.matmul(from_upper, upper, adjoint_b=True), 0, -1)
    left = tf.linalg.triangular_solve(lower, inner, lower=True, adjoint=True)
    right = tf.linalg.adjoint(tf.linalg.triangular_solve(upper, tf.linalg.adjoint(left), lower=False))
    # Row i of P A is row p_i of A, so row j of the result is the row i with p_i = j.
    rank = permutation.shape.rank
    return tf.gather(right, tf.argsort(permutation), axis=rank - 1, batch_dims=rank - 1)


def _strictly_lower(x: tf.Tensor) -> tf.Tensor:
    return x - tf.linalg.band_part(x, 0, -1)


@register("MatrixLogarithm")
def _matrix_logarithm(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """log of [[Aᴴ, U], [0, Aᴴ]] has the adjoint derivative in its corner (Mathias 1996; Higham 2008, thm 3.6)."""
    a = tf.linalg.adjoint(op.inputs[0])
    above, below = tf.concat([a, upstream], -1), tf.concat([tf.zeros_like(a), a], -1)
    size = tf.shape(a)[-1]
    return tf.linalg.logm(tf.concat([above, below], -2))[..., :size, size:]


@register("CholeskyGrad")
def _cholesky_grad(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """CholeskyGrad(L, L̄) = L⁻ᵀ Φ(Lᵀ L̄) L⁻¹, symmetrized, Φ halving the diagonal (Murray 2016, eq. 9)."""

    def formula(lower: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
        lower = tf.linalg.band_part(lower, -1, 0)
        product = tf.linalg.band_part(tf.matmul(lower, tf.linalg.band_part(g, -1, 0), transpose_a=True), -1, 0)
        halved = tf.linalg.set_diag(product, tf.linalg.diag_part(product) / 2)
        left = tf.linalg.triangular_solve(lower, halved, adjoint=True)
        both = tf.linalg.triangular_solve(lower, tf.linalg.matrix_transpose(left), adjoint=True)
        return (both + tf.linalg.matrix_transpose(both)) / 2

    return by_formula(formula, op.inputs, upstream)
