"""Gradients of solutions of linear equations: least squares, and tridiagonal systems of complex numbers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import take_over


@take_over("MatrixSolveLs")
def _least_squares(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Any]:
    """x = (AᴴA + λ)⁻¹ Aᴴb, or Aᴴ(AAᴴ + λ)⁻¹ b where A has more columns than rows; with ``fast=False`` λ is 0.

    TensorFlow's has no derivative by λ, none with ``fast=False``, and transposes where it ought to take the adjoint.
    """
    a, b, regularizer = op.inputs
    fast = op.get_attr("fast")
    weight = tf.cast(regularizer, a.dtype) if fast else tf.zeros([], a.dtype)
    rows, columns = a.shape[-2:]
    arguments = (a, b, weight, op.outputs[0], upstream)
    if rows is None or columns is None:
        shape = tf.shape(a)
        gradients = tf.cond(
            shape[-2] >= shape[-1], lambda: _overdetermined(*arguments), lambda: _underdetermined(*arguments)
        )
    else:
        gradients = (_overdetermined if rows >= columns else _underdetermined)(*arguments)
    by_a, by_b, by_weight = gradients
    by_weight = tf.cast(tf.math.real(by_weight), regularizer.dtype)
    return by_a, by_b, by_weight if fast else tf.zeros_like(by_weight)


def _overdetermined(a: tf.Tensor, b: tf.Tensor, weight: tf.Tensor, x: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, ...]:
    gram = tf.matmul(a, a, adjoint_a=True)
    z = tf.linalg.cholesky_solve(_regularized(gram, weight), u)
    xz = tf.matmul(x, z, adjoint_b=True)
    by_a = tf.matmul(b, z, adjoint_b=True) - tf.matmul(a, xz + tf.linalg.adjoint(xz))
    return by_a, tf.matmul(a, z), -tf.reduce_sum(tf.math.conj(x) * z)


def _underdetermined(
    a: tf.Tensor, b: tf.Tensor, weight: tf.Tensor, x: tf.Tensor, u: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    factor = _regularized(tf.matmul(a, a, adjoint_b=True), weight)
    w = tf.linalg.cholesky_solve(factor, b)
    z = tf.linalg.cholesky_solve(factor, tf.matmul(a, u))
    by_a = tf.matmul(w, u - tf.matmul(a, z, adjoint_a=True), adjoint_b=True) - tf.matmul(z, x, adjoint_b=True)
    return by_a, z, -tf.reduce_sum(tf.math.conj(w) * z)


def _regularized(gram: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    return tf.linalg.cholesky(gram + weight * tf.eye(tf.shape(gram)[-1], dtype=gram.dtype))


@take_over("TridiagonalSolve")
def _tridiagonal_solve(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """b̄ = A⁻ᴴ u, Ā = −b̄ xᴴ on the diagonals; TensorFlow's transposes where it ought to take the adjoint."""
    diagonals, x = op.inputs[0], op.outputs[0]
    above, middle, below = tf.unstack(tf.math.conj(diagonals), axis=diagonals.shape.rank - 2, num=3)
    # A row holds the entry of its own row: above[i] = A[i, i+1], below[i] = A[i, i-1].
    adjoint = tf.stack([_shifted(below, 1), middle, _shifted(above, -1)], -2)
    flags = {name: op.get_attr(name) for name in ("partial_pivoting", "perturb_singular")}
    by_b = tf.raw_ops.TridiagonalSolve(diagonals=adjoint, rhs=upstream, **flags)
    conjugate, last = tf.math.conj(x), x.shape.rank - 1
    rows = [_shifted(conjugate, by, axis=-2) for by in (1, 0, -1)]
    return -tf.stack([tf.reduce_sum(by_b * row, last) for row in rows], -2), by_b


def _shifted(x: tf.Tensor, by: int, axis: int = -1) -> tf.Tensor:
    """x_{i+by} at place i, zero where there is none."""
    if by == 0:
        return x
    place = x.shape.rank + axis
    index = [slice(None)] * x.shape.rank
    index[place] = slice(1, None) if by > 0 else slice(None, -1)
    paddings = [[0, 0]] * x.shape.rank
    paddings[place] = [0, 1] if by > 0 else [1, 0]
    return tf.pad(x[tuple(index)], paddings)
