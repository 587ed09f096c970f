"""Linear algebra: decompositions, and what is made of eigenvalues and singular values."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entries_matrices import BATCH, SINGULAR, TALL, THREE, WIDE, C, L, S, positive, symmetric
from .entry import Entry, as_complex, entry, numbers

ONE = np.eye(2)


def _decompositions() -> list[Entry]:
    def rebuilt(x: tf.Tensor) -> tf.Tensor:
        s, u, v = L.svd(x)
        return tf.matmul(u * tf.cast(s, u.dtype)[..., None, :], v, adjoint_b=True)

    def from_eigh(x: tf.Tensor, f: Any = tf.identity) -> tf.Tensor:
        e, v = L.eigh(symmetric(x))
        return tf.matmul(v * f(e)[..., None, :], v, adjoint_b=True)

    def squares(x: tf.Tensor) -> tf.Tensor:
        return L.eigh(symmetric(x))[1] ** 2

    def eig(x: tf.Tensor) -> tf.Tensor:
        e, v = L.eig(x)
        return tf.matmul(v * tf.exp(e)[..., None, :], L.inv(v))

    return [
        entry("tf.linalg.cholesky", lambda x: L.cholesky(positive(x)), S, 0 * S, ONE),
        entry("tf.linalg.cholesky of a batch", lambda x: L.cholesky(positive(x)), BATCH),
        entry("tf.linalg.cholesky, complex", lambda x: L.cholesky(positive(as_complex(x))), C),
        entry("keras.ops.cholesky", lambda x: keras.ops.cholesky(positive(x)), S),
        entry("keras.ops.cholesky_inverse", keras.ops.cholesky_inverse, np.tril(S) + np.eye(2)),
        entry("tf.linalg.qr", L.qr, S),
        entry("tf.linalg.qr, tall", L.qr, TALL),
        entry("tf.linalg.qr, wide", L.qr, WIDE),
        entry("tf.linalg.qr, wide, full", partial(L.qr, full_matrices=True), WIDE),
        entry("tf.linalg.qr, complex", lambda x: L.qr(as_complex(x)), C),
        entry("keras.ops.qr", keras.ops.qr, TALL),
        entry("tf.linalg.lu", lambda x: L.lu(x)[0], S, THREE[:2, :2]),
        entry("tf.linalg.lu_solve", lambda x, y: L.lu_solve(*L.lu(x), y), (S, numbers(2, 1))),
        entry("tf.linalg.lu_matrix_inverse", lambda x: L.lu_matrix_inverse(*L.lu(x)), S),
        entry("tf.linalg.lu_reconstruct", lambda x: L.lu_reconstruct(*L.lu(x)), S),
        entry("keras.ops.lu_factor", lambda x: keras.ops.lu_factor(x)[0], S),
        entry("tf.linalg.svd, singular values", lambda x: L.svd(x, compute_uv=False), S, TALL[:2], WIDE[:, :2]),
        entry("tf.linalg.svd, singular values, tall", lambda x: L.svd(x, compute_uv=False), TALL),
        entry(
            "tf.linalg.svd, rebuilt",
            rebuilt,
            S,
            ONE,
            0 * S,
            SINGULAR,
            known=dict.fromkeys(("first", "second"), ("nan", "singular vectors at equal singular values")),
        ),
        entry("tf.linalg.svd, rebuilt, tall", rebuilt, TALL),
        entry(
            "tf.linalg.svd, rebuilt, wide",
            rebuilt,
            WIDE,
            skip={"tile": "its rows are no samples, though the result looks so: repeated they are a singular matrix"},
        ),
        entry("tf.linalg.svd, rebuilt, complex", lambda x: rebuilt(as_complex(x)), C),
        entry("tf.linalg.svd, squares of u", lambda x: L.svd(x)[1] ** 2, S),
        entry("tf.linalg.svd, full", lambda x: [t**2 for t in L.svd(x, full_matrices=True)], WIDE),
        entry("keras.ops.svd", lambda x: [t**2 for t in keras.ops.svd(x, full_matrices=False)], TALL),
        entry(
            "a norm by singular values",
            lambda x: tf.reduce_sum(L.svd(x, compute_uv=False) ** 2),
            S,
            ONE,
            SINGULAR,
            known={"second": ("nan", "singular vectors at equal singular values")},
        ),
        entry("tf.linalg.eigvalsh", lambda x: L.eigvalsh(symmetric(x)), S, ONE),
        entry("tf.linalg.eigvalsh of the lower triangle", L.eigvalsh, S),
        entry("tf.linalg.eigvalsh of a batch", lambda x: L.eigvalsh(symmetric(x)), BATCH),
        entry("tf.linalg.eigvalsh of 3 x 3", lambda x: L.eigvalsh(symmetric(x)), THREE),
        entry(
            "tf.linalg.eigvalsh, sum",
            lambda x: tf.reduce_sum(L.eigvalsh(symmetric(x))),
            S,
            ONE,
            known={"second": ("nan", "eigenvectors at equal eigenvalues")},
        ),
        entry("tf.linalg.eigvalsh, complex", lambda x: L.eigvalsh(symmetric(as_complex(x))), C),
        entry("tf.linalg.eigh, squares of vectors", squares, S),
        entry("tf.linalg.eigh, squares of vectors of 3 x 3", squares, THREE),
        entry(
            "tf.linalg.eigh, rebuilt",
            from_eigh,
            S,
            ONE,
            known=dict.fromkeys(("first", "second"), ("nan", "eigenvectors at equal eigenvalues")),
        ),
        entry("tf.linalg.eigh, exponential", partial(from_eigh, f=tf.exp), S),
        entry("tf.linalg.eigh, exponential, complex", lambda x: from_eigh(as_complex(x), tf.exp), C),
        entry("keras.ops.eigh", lambda x: [t**2 for t in keras.ops.eigh(symmetric(x))], S),
        entry("tf.linalg.eig, exponential", eig, S, BATCH[2]),
        entry("tf.linalg.eigvals", lambda x: L.eigvals(x), S, BATCH[2]),
        entry("tf.linalg.eig, complex", lambda x: eig(as_complex(x)), C),
        entry("keras.ops.eig", lambda x: keras.ops.eig(x)[0], S),
        entry(
            "tf.linalg.eigh_tridiagonal",
            lambda x, y: L.eigh_tridiagonal(x, y),
            (numbers(3), numbers(2)),
            tolerance=1e-4,
        ),
    ]


ENTRIES = _decompositions()
