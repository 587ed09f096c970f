"""Linear systems, a batch at a time: by products alone (GMRES, BiCGSTAB), or by the inverse of a small dense matrix.

GMRES by H. Walker & L. Zhou, "A simpler GMRES" (1994), restarted; BiCGSTAB by H. van der Vorst (1992). Both take
``matvec``: [B, n] → [B, n], and b, and return x with NaN in the samples that weren't solved; each sample stops when it
is solved. In a batch of matrices one may be singular and the others not. Inverses of few unknowns are eliminated with
plain tensor operations, written out, which every target compiles (Golub & Van Loan, "Matrix Computations", 4th ed.,
ch. 3.4); of more, they are ``tf.linalg.inv``'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import tensorflow as tf

Matvec = Callable[[tf.Tensor], tf.Tensor]
# GMRES: the largest dimension of a Krylov space, and the number of such cycles; BiCGSTAB: the number of steps.
_RESTART = 30
_CYCLES = 20
_STEPS = 500
# Up to so many unknowns elimination is written out: some ten ops a column, all element-wise.
_FEW = 8


def gmres(matvec: Matvec, b: tf.Tensor, tolerance: float) -> tf.Tensor:
    """x with ‖b − Ax‖ ≤ tolerance ‖b‖, by the smallest residual over Krylov spaces of up to 30 dimensions."""
    target = tolerance * _norm(b)

    def cycle(count: tf.Tensor, x: tf.Tensor, r: tf.Tensor, active: tf.Tensor) -> Any:
        moved = x + _minimise_residual(matvec, r, target, active)
        left = b - matvec(moved)
        better = active & (_norm(left) < _norm(r))
        x, kept = _where(better, moved, x), _where(better, left, r)
        # A sample that a whole cycle hardly improves is given up: the next cycle would do no better.
        active = better & (_norm(kept) > target) & (_norm(kept) < 0.9 * _norm(r))
        return count + 1, x, kept, active

    start = (tf.constant(0), tf.zeros_like(b), b, _norm(b) > target)
    _, x, r, _ = tf.while_loop(
        lambda count, x, r, active: tf.reduce_any(active), cycle, start, maximum_iterations=_CYCLES
    )
    return _or_nan(x, r, b, tolerance)


def _minimise_residual(matvec: Matvec, r: tf.Tensor, target: tf.Tensor, active: tf.Tensor) -> tf.Tensor:
    """The correction of one cycle: it takes off the residual's projection on the space A·Z.

    W is an orthonormal basis of A·Z, Z the residual followed by the columns of W, and AZ = WR with a triangular R.
    """
    size = min(r.shape[-1], _RESTART)
    beta = _norm(r)
    # Below this residual, R is too badly conditioned to say more: the next cycle goes on.
    enough = tf.maximum(target, epsilon(r.dtype) ** 0.4 * beta)
    first = tf.math.divide_no_nan(r, beta[:, None])
    dtype = r.dtype

    def step(j: tf.Tensor, w: tf.Tensor, triangle: tf.Tensor, amounts: tf.Tensor, r: tf.Tensor, on: tf.Tensor) -> Any:
        place = tf.one_hot(j, size, dtype=dtype)
        before = tf.reduce_sum(tf.one_hot(j - 1, size, dtype=dtype)[:, None] * w, 1)
        image = matvec(tf.where(j == 0, first, before))
        # Gram-Schmidt twice is enough (Giraud et al., 2005).
        along = tf.linalg.matvec(w, image)
        rest = image - tf.linalg.matvec(w, along, transpose_a=True)
        again = tf.linalg.matvec(w, rest)
        rest -= tf.linalg.matvec(w, again, transpose_a=True)
        length = _norm(rest)
        new = on & (length > epsilon(dtype) * _norm(image))
        direction = _where(new, tf.math.divide_no_nan(rest, length[:, None]), tf.zeros_like(rest))
        amount = tf.reduce_sum(direction * r, 1)
        column = _where(new, along + again + length[:, None] * place, tf.zeros_like(along) + place)
        w = w + place[:, None] * direction[:, None, :]
        triangle = tf.where(place[None, None, :] > 0, column[:, :, None], triangle)
        r = r - amount[:, None] * direction
        return j + 1, w, triangle, amounts + amount[:, None] * place, r, new & (_norm(r) > enough)

    zeros = tf.zeros_like(r)[:, None, :] + tf.zeros([size, 1], dtype)
    square = tf.zeros_like(zeros[:, :, :1]) + tf.eye(size, dtype=dtype)
    start = (tf.constant(0), zeros, square, zeros[:, :, 0], r, active)
    _, w, triangle, amounts, _, _ = tf.while_loop(
        lambda j, w, triangle, amounts, r, on: tf.reduce_any(on), step, start, maximum_iterations=size
    )
    y = tf.linalg.triangular_solve(triangle, amounts[:, :, None], lower=False)
    basis = tf.concat([first[:, None], w[:, :-1]], 1)
    return tf.reduce_sum(y * basis, 1)


def bicgstab(matvec: Matvec, b: tf.Tensor, tolerance: float) -> tf.Tensor:
    """x with ‖b − Ax‖ ≤ tolerance ‖b‖, in little memory: two products a step."""
    target = tolerance * _norm(b)

    def step(x: tf.Tensor, r: tf.Tensor, p: tf.Tensor, rho: tf.Tensor, active: tf.Tensor) -> Any:
        v = matvec(p)
        alpha = tf.math.divide_no_nan(rho, _dot(b, v))
        s = r - alpha[:, None] * v
        t = matvec(s)
        omega = tf.math.divide_no_nan(_dot(t, s), _dot(t, t))
        moved = x + alpha[:, None] * p + omega[:, None] * s
        left = s - omega[:, None] * t
        turned = _dot(b, left)
        beta = tf.math.divide_no_nan(turned, rho) * tf.math.divide_no_nan(alpha, omega)
        ahead = left + beta[:, None] * (p - omega[:, None] * v)
        good = active & tf.math.is_finite(_norm(left))
        x, r = _where(good, moved, x), _where(good, left, r)
        going = good & (_norm(r) > target) & (turned != 0) & (omega != 0)
        return x, r, _where(good, ahead, p), tf.where(good, turned, rho), going

    start = (tf.zeros_like(b), b, b, _dot(b, b), _norm(b) > target)
    x, *_ = tf.while_loop(lambda x, r, p, rho, active: tf.reduce_any(active), step, start, maximum_iterations=_STEPS)
    return _or_nan(x, b - matvec(x), b, tolerance)


def _or_nan(x: tf.Tensor, r: tf.Tensor, b: tf.Tensor, tolerance: float) -> tf.Tensor:
    """x in samples whose residual r is small, up to rounding; NaN in the others."""
    enough = max(10 * tolerance, epsilon(b.dtype) ** 0.5)
    return _where(_norm(r) <= enough * _norm(b), x, x + float("nan"))


def _where(mask: tf.Tensor, yes: tf.Tensor, no: tf.Tensor) -> tf.Tensor:
    return tf.where(mask[:, None], yes, no)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, 1)


def _norm(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(_dot(x, x))


def invert(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The inverses of ``[B, n, n]``, and which matrices are singular in this precision: ``[B]``.

    The criterion is the largest Σ_j |A⁻¹ᵢⱼ||Aⱼᵢ|, a bound of the condition number from below that doesn't depend on
    the units of equations and unknowns (Bauer, "Optimally scaled matrices", 1963).
    """
    finite = tf.reduce_all(tf.math.is_finite(matrix), [1, 2])
    size = matrix.shape[-1]
    unit = tf.eye(size, dtype=matrix.dtype)
    matrix = tf.where(finite[:, None, None], matrix, unit)
    inverse = _eliminate(matrix) if size <= _FEW else tf.linalg.inv(_perturb_diagonal(matrix))
    growth = tf.reduce_max(tf.reduce_sum(tf.abs(inverse) * tf.abs(tf.transpose(matrix, [0, 2, 1])), 2), 1)
    magnitude = tf.abs(matrix)
    empty = tf.reduce_any(tf.reduce_max(magnitude, 1) == 0, 1) | tf.reduce_any(tf.reduce_max(magnitude, 2) == 0, 1)
    # Not ~(growth < limit): TensorFlow makes that growth >= limit, which NaN isn't.
    undefined = ~tf.math.is_finite(growth) | ~finite
    return inverse, (growth >= 0.1 / epsilon(matrix.dtype)) | undefined | empty


def times(matrix: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """``[B, n, n]`` times ``[B, n]``; of few unknowns without a matrix product, which some targets lack in a batch."""
    if matrix.shape[-1] <= _FEW:
        return tf.reduce_sum(matrix * vector[:, None, :], 2)
    return tf.linalg.matvec(matrix, vector)


def _eliminate(matrix: tf.Tensor) -> tf.Tensor:
    """Gauss–Jordan elimination with partial pivoting."""
    size = matrix.shape[-1]
    unit = tf.eye(size, dtype=matrix.dtype)
    wide = tf.concat([matrix, tf.zeros_like(matrix) + unit], 2)
    return reduce(_eliminate_column, range(size), wide)[:, :, size:]


def _eliminate_column(wide: tf.Tensor, column: int) -> tf.Tensor:
    size = wide.shape[1]
    is_pivot_row = tf.constant(np.arange(size) == column)[None, :, None]
    best = column + tf.argmax(tf.abs(wide[:, column:, column]), 1, output_type=tf.int32)
    chosen = tf.equal(best[:, None], tf.range(size))[:, :, None]
    pivot_row = tf.reduce_sum(tf.where(chosen, wide, tf.zeros_like(wide)), 1, keepdims=True)
    swapped = tf.where(chosen, wide[:, column : column + 1], wide)
    # A zero pivot makes infinities: they say that the matrix is singular.
    row = pivot_row / pivot_row[:, :, column : column + 1]
    below = swapped - swapped[:, :, column : column + 1] * row
    return tf.where(is_pivot_row, row, below)


def _perturb_diagonal(matrix: tf.Tensor) -> tf.Tensor:
    """The matrix, its diagonal changed by a rounding: ``tf.linalg.inv`` fails for the whole batch at one zero pivot."""
    size = matrix.shape[-1]
    rows = tf.reduce_max(tf.abs(matrix), 2)
    scale = tf.where(rows > 0, rows, tf.ones_like(rows))
    uneven = tf.constant(1 + np.modf(math.sqrt(2) * np.arange(1, size + 1))[0], matrix.dtype)
    return matrix + tf.linalg.diag(scale * uneven * epsilon(matrix.dtype))


def epsilon(dtype: tf.DType) -> float:
    """The distance from 1 to the next number."""
    return float(tf.experimental.numpy.finfo(dtype.as_numpy_dtype).eps)
