"""Linear algebra: determinants, inverses, solutions and functions of matrices."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import tensorflow as tf

from .entry import Entry, as_complex, entry, numbers

L = tf.linalg
S = np.array([[2.0, 0.3], [0.4, 1.5]])
ONE = np.eye(2)
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
THREE = numbers(3, 3) + 2 * np.eye(3)
RANK = {1: np.outer([1.0, 2, -1], [2.0, 0, 1]), 2: np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])}
FOUR = numbers(4, 4)
BATCH = np.stack([S, S.T @ S, [[0.3, -1.2], [0.9, 0.4]]])
TALL, WIDE = numbers(3, 2), numbers(2, 3)
C = np.stack([S, np.array([[0.5, -0.2], [0.1, 0.7]])], -1)
CSINGULAR = np.stack([SINGULAR, SINGULAR], -1)


def positive(x: tf.Tensor) -> tf.Tensor:
    """A symmetric positive definite matrix."""
    return tf.matmul(x, x, adjoint_b=True) + tf.eye(x.shape[-1], dtype=x.dtype)


def diagonals(x: tf.Tensor) -> tf.Tensor:
    """Three diagonals, of which the middle one dominates."""
    return x + tf.constant([[0], [4], [0]], x.dtype)


def symmetric(x: tf.Tensor) -> tf.Tensor:
    """The symmetric, or Hermitian, part."""
    return (x + L.adjoint(x)) / 2


def _of_square_matrices() -> list[Entry]:
    rank3 = (0 * THREE, RANK[1], RANK[2], np.eye(3))
    return [
        entry("tf.linalg.det", L.det, S, SINGULAR, 0 * S, ONE, 1e-9 * S, orders=3),
        entry("tf.linalg.det of 1 x 1", L.det, [[0.7]], [[0.0]]),
        entry("tf.linalg.det of 3 x 3", L.det, THREE, *rank3),
        entry("tf.linalg.det of 4 x 4", L.det, FOUR, 0 * FOUR, np.diag([1.0, 0, 2, 3]), np.diag([1.0, 0, 0, 3])),
        entry("tf.linalg.det of a batch", L.det, BATCH, np.stack([S, SINGULAR, 0 * S])),
        entry("tf.linalg.det of a batch of 4 x 4", L.det, numbers(2, 4, 4), np.stack([FOUR, np.diag([1.0, 0, 2, 3])])),
        entry("tf.linalg.det, complex", lambda x: L.det(as_complex(x)), C, CSINGULAR, 0 * C),
        entry(
            "tf.linalg.det of 4 x 4, complex",
            lambda x: L.det(as_complex(x)),
            numbers(4, 4, 2),
            np.stack([np.diag([1.0, 0, 2, 3]), np.diag([1.0, 0, -2, 3])], -1),
        ),
        entry("keras.ops.det", keras.ops.det, S, SINGULAR, 0 * S),
        entry("tf.linalg.slogdet", L.slogdet, S, -BATCH[2]),
        entry("tf.linalg.slogdet, complex", lambda x: L.slogdet(as_complex(x)), C),
        entry("keras.ops.slogdet", keras.ops.slogdet, S),
        entry("tf.linalg.logdet", lambda x: L.logdet(positive(x)), S, 0 * S),
        entry("tf.linalg.inv", L.inv, S, BATCH[2], orders=3),
        entry("tf.linalg.inv, adjoint", partial(L.inv, adjoint=True), BATCH),
        entry("tf.linalg.inv, complex", lambda x: L.inv(as_complex(x)), C),
        entry("tf.linalg.inv, adjoint, complex", lambda x: L.inv(as_complex(x), adjoint=True), C),
        entry("keras.ops.inv", keras.ops.inv, S),
        entry("tf.linalg.expm", lambda x: L.expm(x), S, 0 * S, ONE, 10 * S, np.array([[0.0, 1], [0, 0]])),
        entry("tf.linalg.expm of a batch", lambda x: L.expm(x), BATCH[:2]),
        entry("tf.linalg.expm, complex", lambda x: L.expm(as_complex(x)), C, 0 * C),
        entry("tf.linalg.logm, complex", lambda x: L.logm(as_complex(x)), C),
        entry("tf.linalg.sqrtm", L.sqrtm, S, ONE),
        entry("tf.linalg.sqrtm of a batch", L.sqrtm, BATCH[:2]),
        entry("tf.linalg.sqrtm, complex", lambda x: L.sqrtm(as_complex(x)), C),
        entry("x @ x @ x", lambda x: x @ x @ x, S, 0 * S, orders=3),
        entry("tf.linalg.trace", lambda x: L.trace(x @ x), S, 0 * S),
        entry("tf.linalg.trace of a batch", L.trace, BATCH),
        entry("keras.ops.trace, offset", partial(keras.ops.trace, offset=1), THREE),
    ]


def _solutions() -> list[Entry]:
    b = numbers(2, 2, seed=1)
    solve = {
        "tf.linalg.solve": L.solve,
        "tf.linalg.solve, adjoint": partial(L.solve, adjoint=True),
        "tf.linalg.triangular_solve": L.triangular_solve,
        "tf.linalg.triangular_solve, upper": partial(L.triangular_solve, lower=False),
        "tf.linalg.triangular_solve, adjoint": partial(L.triangular_solve, adjoint=True),
        "tf.linalg.lstsq": L.lstsq,
        "tf.linalg.lstsq, regularized": partial(L.lstsq, l2_regularizer=0.3),
        "tf.linalg.lstsq, fast=False": partial(L.lstsq, fast=False),
        "keras.ops.solve": keras.ops.solve,
        "keras.ops.solve_triangular": partial(keras.ops.solve_triangular, lower=True),
        "keras.ops.lstsq": keras.ops.lstsq,
    }
    entries = [entry(name, f, (S, b)) for name, f in solve.items()]
    entries += [
        entry(f"{name}, complex", lambda x, y, f=f: f(as_complex(x), as_complex(y)), (C, C[::-1]))
        for name, f in solve.items()
        if name.startswith("tf.") and "regularized" not in name
    ]
    entries += [
        entry(
            "tf.linalg.solve, broadcasting", lambda x, y: L.solve(x, y[None] * tf.ones([3, 1, 1], x.dtype)), (BATCH, b)
        ),
        entry("tf.linalg.triangular_solve, broadcasting", L.triangular_solve, (BATCH, b)),
        entry("tf.linalg.triangular_solve, broadcast matrix", L.triangular_solve, (S, BATCH)),
        entry("tf.linalg.lstsq, tall", L.lstsq, (TALL, numbers(3, 1, seed=2))),
        entry("tf.linalg.lstsq, wide", L.lstsq, (WIDE, numbers(2, 1, seed=2))),
        entry("tf.linalg.lstsq, tall, fast=False", partial(L.lstsq, fast=False), (TALL, numbers(3, 1, seed=2))),
        entry("tf.linalg.lstsq, wide, fast=False", partial(L.lstsq, fast=False), (WIDE, numbers(2, 1, seed=2))),
        entry(
            "tf.linalg.lstsq, wide, regularized", partial(L.lstsq, l2_regularizer=0.3), (WIDE, numbers(2, 1, seed=2))
        ),
        entry("tf.linalg.lstsq of a batch", L.lstsq, (BATCH, numbers(3, 2, 1, seed=2))),
        entry(
            "MatrixSolveLs by its regularizer",
            lambda x, y, r: tf.raw_ops.MatrixSolveLs(matrix=x, rhs=y, l2_regularizer=r, fast=True),
            (TALL, numbers(3, 1, seed=2), np.array(0.3)),
            skip={"float32": "the regularizer is float64"},
        ),
        entry("tf.linalg.cholesky_solve", lambda x, y: L.cholesky_solve(L.cholesky(positive(x)), y), (S, b)),
        entry(
            "tf.linalg.banded_triangular_solve",
            lambda x, y: L.banded_triangular_solve(x + 2, y),
            (numbers(2, 3), numbers(3, 1, seed=1)),
        ),
        entry(
            "tf.linalg.banded_triangular_solve, upper, adjoint",
            lambda x, y: L.banded_triangular_solve(x + 2, y, lower=False, adjoint=True),
            (numbers(2, 3), numbers(3, 1, seed=1)),
        ),
        entry(
            "tf.linalg.tridiagonal_solve",
            lambda x, y: L.tridiagonal_solve(diagonals(x), y),
            (numbers(3, 3), numbers(3, 1, seed=1)),
        ),
        entry(
            "tf.linalg.tridiagonal_solve, no pivoting",
            lambda x, y: L.tridiagonal_solve(diagonals(x), y, partial_pivoting=False),
            (numbers(3, 3), numbers(3, 1, seed=1)),
        ),
        entry(
            "tf.linalg.tridiagonal_solve, complex",
            lambda x: L.tridiagonal_solve(diagonals(as_complex(x)), as_complex(x)[:, :1]),
            numbers(3, 3, 2),
        ),
        entry(
            "tf.linalg.tridiagonal_solve, matrix",
            lambda x, y: L.tridiagonal_solve(x, y, diagonals_format="matrix"),
            (THREE, numbers(3, 1, seed=1)),
        ),
        entry("tf.linalg.tridiagonal_matmul", L.tridiagonal_matmul, (numbers(3, 3), numbers(3, 2, seed=1))),
        entry(
            "tf.linalg.tridiagonal_matmul, complex",
            lambda x: L.tridiagonal_matmul(as_complex(x), as_complex(x)),
            numbers(3, 3, 2),
        ),
        entry("tf.linalg.pinv", L.pinv, S, BATCH[2]),
        entry("tf.linalg.pinv, tall", L.pinv, TALL),
        entry("tf.linalg.pinv, wide", L.pinv, WIDE),
        entry("keras.ops.pinv", keras.ops.pinv, S),
        entry(
            "tf.linalg.experimental.conjugate_gradient",
            lambda x, y: (
                L.experimental.conjugate_gradient(
                    L.LinearOperatorFullMatrix(positive(x), is_self_adjoint=True, is_positive_definite=True),
                    y,
                    max_iter=5,
                ).x
            ),
            (S, numbers(2, seed=1)),
            tolerance=1e-4,
            skip={"compiled": "a loop of unknown length"},
        ),
    ]
    return entries


ENTRIES = [*_of_square_matrices(), *_solutions()]
