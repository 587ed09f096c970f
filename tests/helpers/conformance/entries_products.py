"""Products of tensors, and what picks, fills or transposes parts of matrices."""

from __future__ import annotations

from functools import partial
from itertools import product

import keras
import numpy as np
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from .entry import Entry, as_complex, entry, numbers

L, K = tf.linalg, keras.ops
X, Y = numbers(2, 3), numbers(2, 3, seed=1)
V, W = numbers(3), numbers(3, seed=1)
S, T = numbers(2, 2), numbers(2, 2, seed=1)
C, D = numbers(2, 2, 2), numbers(2, 2, 2, seed=1)
FLAGS = ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b")
PAIRS = {
    "": {},
    **{flag: {flag: True} for flag in FLAGS},
    **{f"{a}, {b}": {a: True, b: True} for a, b in product(FLAGS[::2], FLAGS[1::2])},
}


def _matmuls() -> list[Entry]:
    return [
        *(
            entry(f"tf.matmul, {how}", partial(tf.matmul, **flags), (S, T), (0 * S, 0 * T))
            for how, flags in PAIRS.items()
        ),
        *(
            entry(
                f"tf.matmul of complex, {how}", lambda x, y, f=f: tf.matmul(as_complex(x), as_complex(y), **f), (C, D)
            )
            for how, f in PAIRS.items()
        ),
        *(
            entry(
                f"tf.matmul, broadcast batches, {how}",
                partial(tf.matmul, **flags),
                (numbers(2, 1, 2, 2), numbers(3, 2, 2, seed=1)),
            )
            for how, flags in list(PAIRS.items())[:3]
        ),
        entry(
            "tf.matmul, batch of complex, adjoint_a",
            lambda x, y: tf.matmul(as_complex(x), as_complex(y), adjoint_a=True),
            (numbers(2, 2, 1, 2), numbers(2, 2, 1, 2, seed=1)),
        ),
        entry("tf.matmul, x by its transpose", lambda x: tf.matmul(x, x, transpose_b=True), X, 0 * X),
        entry("tf.matmul, a_is_sparse", partial(tf.matmul, a_is_sparse=True), (S, T)),
        entry("tf.linalg.matvec", L.matvec, (X, V)),
        entry("tf.linalg.matvec, transpose_a", partial(L.matvec, transpose_a=True), (X, V[:2])),
        entry(
            "tf.linalg.matvec of complex, adjoint_a",
            lambda x, y: L.matvec(as_complex(x), as_complex(y), adjoint_a=True),
            (C, numbers(2, 2)),
        ),
        entry("tf.linalg.matvec, broadcasting", L.matvec, (numbers(2, 1, 2, 3), numbers(2, 3, seed=1))),
        entry("tf.linalg.cross", L.cross, (V, W), (V, V)),
        entry("tf.linalg.cross of x and x * x", lambda x: L.cross(x, x * x), X),
        entry("keras.ops.cross", K.cross, (X, Y)),
        entry("keras.ops.dot", K.dot, (X, V)),
        entry("keras.ops.matmul", K.matmul, (X, V), (0 * X, V)),
        entry("keras.ops.inner", K.inner, (X, Y)),
        entry("keras.ops.outer", K.outer, (V, W)),
        entry("keras.ops.vdot", K.vdot, (V, W)),
        entry("keras.ops.vdot of complex", lambda x, y: K.vdot(as_complex(x), as_complex(y)), (C[0], D[0])),
        entry("keras.ops.tensordot", partial(K.tensordot, axes=[[0], [1]]), (X, S)),
        entry("keras.ops.vander", lambda x: K.vander(x, 3), V),
        entry("tf.tensordot, axes=1", partial(tf.tensordot, axes=1), (X, numbers(3, 2))),
        entry("tf.tensordot, axes=[[1, 0], [0, 1]]", partial(tf.tensordot, axes=[[1, 0], [0, 1]]), (X, numbers(3, 2))),
        entry("tf.tensordot, axes=0", partial(tf.tensordot, axes=0), (V, S)),
        entry("tf.tensordot, x by x", lambda x: tf.tensordot(x, x, [[0], [0]]), X),
        entry("tf.keras.backend.batch_dot", lambda x, y: tf.keras.backend.batch_dot(x, y, 1), (X, Y)),
        entry("keras.layers.Dot", lambda x, y: keras.layers.Dot(1, normalize=True)([x, y]), (X, Y)),
        entry("tnp.kron", tnp.kron, (S, T)),
        entry("tnp.outer", tnp.outer, (V, W)),
        entry("tnp.inner", tnp.inner, (X, Y)),
        entry("tnp.dot", tnp.dot, (X, V)),
        entry("tnp.vdot", tnp.vdot, (V, W)),
        entry("tnp.cross", tnp.cross, (X, Y)),
        entry("tnp.vander", lambda x: tnp.vander(x, 3), V),
        entry(
            "tf.linalg.LinearOperatorKronecker",
            lambda x, y: L.LinearOperatorKronecker(
                [L.LinearOperatorFullMatrix(x), L.LinearOperatorFullMatrix(y)]
            ).to_dense(),
            (S, T),
        ),
        entry(
            "tf.linalg.LinearOperatorToeplitz",
            lambda x, y: L.LinearOperatorToeplitz(x, tf.concat([x[:1], y[1:]], 0)).matmul(tf.eye(3, dtype=x.dtype)),
            (V, W),
        ),
        entry(
            "tf.linalg.LinearOperatorCirculant",
            lambda x, y: L.LinearOperatorCirculant(
                tf.cast(x, tf.complex128 if x.dtype == tf.float64 else tf.complex64),
                input_output_dtype=tf.complex128 if x.dtype == tf.float64 else tf.complex64,
            ).matvec(tf.cast(y, tf.complex128 if y.dtype == tf.float64 else tf.complex64)),
            (V, W),
        ),
        entry("tf.linalg.LinearOperatorHouseholder", lambda x, y: L.LinearOperatorHouseholder(x).matvec(y), (V, W)),
        entry(
            "tf.linalg.LinearOperatorBlockDiag, determinant",
            lambda x, y: L.LinearOperatorBlockDiag(
                [L.LinearOperatorFullMatrix(x), L.LinearOperatorFullMatrix(y)]
            ).determinant(),
            (S, T),
            (np.array([[1.0, 2], [2, 4]]), T),
        ),
        entry(
            "tf.linalg.LinearOperatorLowRankUpdate, solve",
            lambda x, y: L.LinearOperatorLowRankUpdate(L.LinearOperatorDiag(2 + x**2), y[:, None]).solvevec(x),
            (V, W),
        ),
    ]


_EINSUMS = {
    "ij,jk->ik": ((2, 3), (3, 2)),
    "ij,kj->ki": ((2, 3), (2, 3)),
    "bij,bjk->bik": ((2, 2, 2), (2, 2, 1)),
    "...ij,...jk->...ik": ((2, 2, 2), (2, 2)),
    "b...,b->...": ((2, 3), (2,)),
    "ij,ij->": ((2, 3), (2, 3)),
    "i,j->ij": ((3,), (2,)),
    "i,i->i": ((3,), (3,)),
    "ij,j->": ((2, 3), (3,)),
    "ij,k->k": ((2, 3), (2,)),
    "iij,jk->ik": ((2, 2, 3), (3, 2)),
    "ii,jj->ij": ((2, 2), (3, 3)),
    "ijk->kji": ((2, 3, 1),),
    "ij->i": ((2, 3),),
    "ij->": ((2, 3),),
    "ii->i": ((3, 3),),
    "ii->": ((3, 3),),
    "iij->j": ((2, 2, 3),),
    "iji->j": ((2, 3, 2),),
    "bii->bi": ((2, 2, 2),),
    "...ii->...": ((2, 2, 2),),
    "...i->...": ((2, 3),),
    "ij,jk,kl->il": ((2, 2), (2, 2), (2, 2)),
}


def _einsums() -> list[Entry]:
    def points(shapes: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, ...]:
        return tuple(numbers(*shape, seed=n) for n, shape in enumerate(shapes))

    entries = []
    for equation, shapes in _EINSUMS.items():
        xs = points(shapes)
        entries.append(entry(f"tf.einsum, {equation}", partial(tf.einsum, equation), xs, tuple(0 * x for x in xs)))
    entries += [
        entry("Einsum, i->ii", lambda x: tf.raw_ops.Einsum(inputs=[x], equation="i->ii"), V),
        *(
            entry(f"tf.einsum of complex, {e}", lambda x, y, e=e: tf.einsum(e, as_complex(x), as_complex(y)), (C, D))
            for e in ("ij,jk->ik", "ij,ij->i", "ii,jk->j")
        ),
        entry("tf.einsum, x by x", lambda x: tf.einsum("ij,kj->ik", x, x), X),
        entry("keras.ops.einsum, ij,jk->ik", partial(K.einsum, "ij,jk->ik"), (X, numbers(3, 2))),
        entry("keras.ops.einsum, ii->i", partial(K.einsum, "ii->i"), numbers(3, 3)),
        entry("tnp.einsum, ij,j", partial(tnp.einsum, "ij,j"), (X, V)),
        entry(
            "keras.layers.EinsumDense of a kernel", lambda x, y: tf.einsum("...x,xy->...y", x, y), (X, numbers(3, 2))
        ),
    ]
    return entries


def _parts() -> list[Entry]:
    batch = numbers(2, 3, 3)
    return [
        entry("tf.linalg.band_part", lambda x: L.band_part(x, 1, 0), numbers(3, 3)),
        entry("tf.linalg.band_part of a batch", lambda x: L.band_part(x * x, -1, 1), batch),
        entry("tf.linalg.diag", L.diag, X),
        entry("tf.linalg.diag, k=(-1, 0)", lambda x: L.diag(x, k=(-1, 0), padding_value=0), X),
        entry("tf.linalg.diag, padding", lambda x: L.diag(x, k=2, num_rows=4, num_cols=5, padding_value=2.0), X),
        entry("tf.linalg.diag by its padding", lambda x, p: L.diag(x, k=1, padding_value=p), (X, np.array(0.3))),
        entry(
            "tf.linalg.diag_part by its padding",
            lambda x, p: L.diag_part(x, k=(-1, 1), padding_value=p, align="LEFT_LEFT") ** 2,
            (Y, np.array(0.3)),
        ),
        entry("tf.linalg.diag_part", L.diag_part, batch),
        entry("tf.linalg.diag_part, k=(-1, 1)", lambda x: L.diag_part(x, k=(-1, 1), padding_value=1.0), batch),
        entry("tf.linalg.diag_part, k=-1, LEFT_RIGHT", lambda x: L.diag_part(x, k=(-2, -1), align="LEFT_RIGHT"), batch),
        entry("tf.linalg.diag_part of a wide matrix", lambda x: L.diag_part(x, k=1), X),
        entry("tf.linalg.set_diag", lambda x: L.set_diag(x, x[..., 0]), batch),
        entry("tf.linalg.set_diag, k", lambda x: L.set_diag(x, x[..., :2, :] ** 2, k=(0, 1)), batch),
        entry("tf.linalg.tensor_diag", L.tensor_diag, S),
        entry("tf.linalg.tensor_diag_part", L.tensor_diag_part, numbers(2, 2, 2, 2)),
        entry("tf.linalg.adjoint of complex", lambda x: L.adjoint(as_complex(x)) @ as_complex(x), C),
        entry("tf.linalg.matrix_transpose", lambda x: L.matrix_transpose(x) * 2, X),
        entry("tf.transpose, conjugate", lambda x: tf.transpose(as_complex(x), conjugate=True), C),
        entry("keras.ops.tril", partial(K.tril, k=-1), numbers(3, 3)),
        entry("keras.ops.triu", partial(K.triu, k=1), numbers(3, 3)),
        entry("keras.ops.diag", partial(K.diag, k=1), V),
        entry("keras.ops.diag of a matrix", partial(K.diag, k=-1), numbers(3, 3)),
        entry("keras.ops.diagonal", partial(K.diagonal, offset=1), numbers(3, 3)),
        entry("keras.ops.diagflat", K.diagflat, X[:1]),
        entry("tnp.diag", partial(tnp.diag, k=1), V),
        entry("tnp.diagonal", partial(tnp.diagonal, offset=-1), numbers(3, 3)),
        entry("tnp.trace", tnp.trace, numbers(3, 3)),
        entry("tnp.tril", tnp.tril, numbers(3, 3)),
    ]


ENTRIES = [*_matmuls(), *_einsums(), *_parts()]
