"""Sparse tensors and CSR matrices by their values, reductions of rows that are picked, and counts by weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from .entry import Entry, as_complex, entry, numbers

S, R = tf.sparse, tf.raw_ops
INDICES = np.array([[0, 0], [0, 3], [1, 1], [1, 2], [2, 0]], np.int64)
OTHERS = np.array([[0, 0], [1, 1], [2, 3]], np.int64)
# Its second row has no entry.
HOLED = np.array([[0, 1], [2, 0], [2, 2]], np.int64)
SHAPE = np.array([3, 4], np.int64)
V, W, DENSE = numbers(5), numbers(3, seed=1), numbers(3, 4, seed=2)
TIED = np.array([0.5, 0.5, -1.0, -1.0, 0.0])
# Rows that are picked, one of them twice, and the segments that they go to.
ROWS, IDS = np.array([3, 0, 1, 3]), np.array([0, 0, 1, 3])


def tensor(values: tf.Tensor, at: np.ndarray = INDICES, shape: Any = SHAPE) -> tf.SparseTensor:
    """With the values at fixed places."""
    return tf.SparseTensor(at, values, shape)


def parts(values: tf.Tensor, at: np.ndarray = INDICES) -> dict[str, Any]:
    """The same as arguments of an op."""
    return {"sp_indices": at, "sp_values": values, "sp_shape": SHAPE}


def _products() -> list[Entry]:
    flags: dict[str, dict[str, Any]] = {"": {}, "adjoint_a": {"adjoint_a": True}, "adjoint_b": {"adjoint_b": True}}
    shapes = {"": (4, 2), "adjoint_a": (3, 2), "adjoint_b": (2, 4)}
    three = np.array([[0, 0], [0, 1], [2, 1]])
    return [
        *(
            entry(
                f"tf.sparse.sparse_dense_matmul, {how}",
                lambda v, y, k=keywords: S.sparse_dense_matmul(tensor(v), y, **k),
                (V, numbers(*shapes[how], seed=3)),
                (0 * V, numbers(*shapes[how], seed=3)),
            )
            for how, keywords in flags.items()
        ),
        *(
            entry(
                f"tf.sparse.sparse_dense_matmul of complex, {how}",
                lambda v, y, k=keywords: S.sparse_dense_matmul(
                    tensor(as_complex(v), three, [3, 3]), as_complex(y), **k
                ),
                (
                    numbers(3, 2),
                    numbers(3, 3, 2, seed=3)[: 1 if how == "adjoint_b" else 3, : None if how == "adjoint_b" else 1],
                ),
            )
            for how, keywords in flags.items()
        ),
        entry(
            "tf.sparse.sparse_dense_matmul, dense by sparse",
            lambda x, v: S.sparse_dense_matmul(x, tensor(v)),
            (numbers(2, 3), V),
        ),
        entry("SparseMatMul", lambda x, y: narrow_matmul(x, y), (numbers(2, 3), numbers(3, 2)), tolerance=1e-3),
        entry(
            "SparseMatMul, transposes",
            lambda x, y: narrow_matmul(x, y, transpose_a=True, transpose_b=True, b_is_sparse=True),
            (numbers(3, 2), numbers(2, 3)),
            tolerance=1e-3,
        ),
        *(
            entry(f"SparseDenseCwise{op}", lambda v, y, f=f: f(**parts(v), dense=y), (V, 2 + DENSE), (0 * V, 2 + DENSE))
            for op, f in {
                "Mul": R.SparseDenseCwiseMul,
                "Div": R.SparseDenseCwiseDiv,
                "Add": R.SparseDenseCwiseAdd,
            }.items()
        ),
        entry("SparseDenseCwiseMul by a row", lambda v, y: R.SparseDenseCwiseMul(**parts(v), dense=y), (V, DENSE[:1])),
        entry(
            "SparseDenseCwiseDiv by a row", lambda v, y: R.SparseDenseCwiseDiv(**parts(v), dense=y), (V, 2 + DENSE[0])
        ),
        entry("tf.sparse times a dense tensor", lambda v, y: (tensor(v) * y).values, (V, DENSE)),
        entry("tf.sparse by a number", lambda v, y: (tensor(v) / y).values, (V, np.array(0.7))),
    ]


def narrow_matmul(x: tf.Tensor, y: tf.Tensor, **flags: bool) -> tf.Tensor:
    """Of float32 alone."""
    return tf.cast(R.SparseMatMul(a=tf.cast(x, tf.float32), b=tf.cast(y, tf.float32), **flags), x.dtype)


def _reductions() -> list[Entry]:
    axes: dict[str, dict[str, Any]] = {
        "": {},
        "axis=0": {"axis": 0},
        "axis=-1, keepdims": {"axis": -1, "keepdims": True},
        "axis=[0, 1]": {"axis": [0, 1]},
    }
    return [
        *(
            entry(f"tf.sparse.{name}, {how}", lambda v, f=f, k=k: f(tensor(v), **k) ** 2, V, TIED, 0 * V)
            for name, f in {"reduce_sum": S.reduce_sum, "reduce_max": S.reduce_max}.items()
            for how, k in axes.items()
        ),
        *(
            entry(f"tf.sparse.{name}, sparse result", lambda v, f=f: f(tensor(v), 1, output_is_sparse=True).values, V)
            for name, f in {"reduce_sum": S.reduce_sum, "reduce_max": S.reduce_max}.items()
        ),
        entry("tf.sparse.softmax", lambda v: S.softmax(tensor(v)).values, V, TIED, 0 * V),
        entry(
            "tf.sparse.softmax of a batch",
            lambda v: S.softmax(tf.SparseTensor([[0, 0, 1], [0, 0, 2], [1, 0, 0], [1, 1, 1]], v, [2, 2, 3])).values,
            V[:4],
        ),
        *(
            entry(
                f"tf.sparse.segment_{kind}, {how}",
                lambda x, f=f, k=k: f(x, ROWS, IDS, **k) ** 2,
                numbers(4, 2),
            )
            for kind, f in {"sum": S.segment_sum, "mean": S.segment_mean, "sqrt_n": S.segment_sqrt_n}.items()
            for how, k in {"": {}, "num_segments": {"num_segments": 5}}.items()
        ),
        *(
            entry(f"SparseSegment{kind}Grad{v}", partial(_segment_gradient, kind, v), numbers(4, 2))
            for kind in ("Sum", "Mean", "SqrtN")
            for v in ("", "V2")
        ),
    ]


def _segment_gradient(kind: str, version: str, gradient: tf.Tensor) -> tf.Tensor:
    size = {"dense_output_dim0" if version else "output_dim0": 4}
    found = getattr(R, f"SparseSegment{kind}Grad{version}")(grad=gradient, indices=ROWS, segment_ids=IDS, **size)
    return found[0] if version else found


def _places() -> list[Entry]:
    backwards = INDICES[[3, 0, 4, 2, 1]]
    values = {
        "reorder": lambda v: S.reorder(tensor(v, backwards)),
        "reshape": lambda v: S.reshape(tensor(v), [2, 6]),
        "transpose": lambda v: S.transpose(tensor(v)),
        "slice": lambda v: S.slice(tensor(v), [0, 1], [2, 3]),
        "retain": lambda v: S.retain(tensor(v), [True, False, True, True, False]),
        "expand_dims": lambda v: S.expand_dims(tensor(v), -1),
        "reset_shape": lambda v: S.reset_shape(tensor(v), [4, 5]),
        "split": lambda v: S.split(tensor(v), 2, axis=1)[1],
        "map_values": lambda v: S.map_values(tf.tanh, tensor(v)),
        "concat": lambda v: S.concat(0, [tensor(v), tensor(v * v)]),
        "concat, axis -1": lambda v: S.concat(-1, [tensor(v), tensor(v * v)]),
    }
    return [
        *(entry(f"tf.sparse.{name}", lambda v, f=f: f(v).values ** 2, V) for name, f in values.items()),
        entry("tf.sparse.split, all", lambda v: [p.values for p in S.split(tensor(v), 3, axis=1)], V),
        entry("tf.sparse.mask", lambda v: S.mask(tf.IndexedSlices(v, np.arange(5)), [1, 3]).values ** 2, V),
        entry(
            "tf.sparse.fill_empty_rows",
            lambda v, d: S.fill_empty_rows(tensor(v, HOLED), d)[0].values ** 2,
            (W, np.array(0.3)),
        ),
        entry("tf.sparse.to_dense", lambda v: S.to_dense(tensor(v)) ** 2, V, 0 * V),
        entry("tf.sparse.to_dense by its default", lambda v, d: S.to_dense(tensor(v), d) ** 2, (V, np.array(0.3))),
        entry(
            "SparseToDense",
            lambda v, d: R.SparseToDense(sparse_indices=INDICES, output_shape=SHAPE, sparse_values=v, default_value=d),
            (V, np.array(0.3)),
        ),
        entry("tf.sparse.from_dense", lambda x: S.from_dense(x).values ** 2, DENSE),
        entry(
            "SparseSliceGrad",
            lambda g: R.SparseSliceGrad(
                backprop_val_grad=g, input_indices=INDICES, input_start=[1, 0], output_indices=INDICES[2:] - [[1, 0]]
            ),
            W,
        ),
        *(
            entry(
                f"{kind}FillEmptyRowsGrad",
                lambda g, f=f: tuple(f(reverse_index_map=np.array([0, 3, 1]), grad_values=g)),
                V,
            )
            for kind, f in {"Sparse": R.SparseFillEmptyRowsGrad, "Ragged": R.RaggedFillEmptyRowsGrad}.items()
        ),
    ]


def _sums() -> list[Entry]:
    return [
        entry("tf.sparse.add", lambda v, w: S.add(tensor(v), tensor(w, OTHERS)).values, (V, W)),
        entry("tf.sparse.add, squared", lambda v, w: S.add(tensor(v), tensor(w, OTHERS)).values ** 2, (V, W)),
        entry(
            "tf.sparse.add, threshold", lambda v, w: S.add(tensor(v), tensor(w, OTHERS), 0.1).values, (V, W), scale=0.03
        ),
        entry("tf.sparse.add, dense", lambda v, y: S.add(tensor(v), y) ** 2, (V, DENSE)),
        entry("tf.sparse.maximum", lambda v, w: S.maximum(tensor(v), tensor(w, OTHERS)).values ** 2, (V, W)),
        entry("tf.sparse.minimum", lambda v, w: S.minimum(tensor(v), tensor(w, OTHERS)).values ** 2, (V, W)),
        entry(
            "SparseTensorDenseAdd",
            lambda v, y: R.SparseTensorDenseAdd(a_indices=INDICES, a_values=v, a_shape=SHAPE, b=y) ** 2,
            (V, DENSE),
        ),
    ]


def _counts() -> list[Entry]:
    weights = numbers(2, 3)
    splits = np.array([0, 2, 2, 5], np.int64)
    values = np.array([1, 0, 2, 9, 2])
    small = np.array([1, 0, 2, 2, 2])
    sparse = {"indices": INDICES, "dense_shape": SHAPE}
    return [
        entry("tf.math.bincount", lambda w: tf.math.bincount([1, 3, 1, 0], w) ** 2, numbers(4)),
        entry("tf.math.bincount by rows", lambda w: tf.math.bincount([[1, 3, 1], [7, 0, 2]], w, axis=-1) ** 2, weights),
        entry("Bincount", lambda w: R.Bincount(arr=[1, 3, 1, 7], size=4, weights=w) ** 2, numbers(4)),
        entry("SparseBincount", lambda w: R.SparseBincount(**sparse, values=values, size=3, weights=w) ** 2, V),
        entry("RaggedBincount", lambda w: R.RaggedBincount(splits=splits, values=values, size=3, weights=w) ** 2, V),
        entry(
            "DenseCountSparseOutput",
            lambda w: R.DenseCountSparseOutput(values=[[1, 3, 1], [7, 0, 2]], weights=w, binary_output=False)[1],
            weights,
        ),
        entry(
            "SparseCountSparseOutput",
            lambda w: R.SparseCountSparseOutput(**sparse, values=small, weights=w, binary_output=False)[1],
            V,
        ),
        entry(
            "RaggedCountSparseOutput",
            lambda w: R.RaggedCountSparseOutput(splits=splits, values=values, weights=w, binary_output=False)[1],
            V,
        ),
        entry(
            "keras.ops.bincount",
            lambda w: tf.keras.ops.bincount(np.array([1, 3, 1, 0]), w, minlength=5) ** 2,
            numbers(4),
        ),
    ]


def _csr(v: tf.Tensor, at: np.ndarray = INDICES, shape: Any = SHAPE) -> tf.Tensor:
    return R.SparseTensorToCSRSparseMatrix(indices=at, values=v, dense_shape=shape)


def _csr_matrices() -> list[Entry]:
    def dense(matrix: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        return R.CSRSparseMatrixToDense(sparse_input=matrix, type=v.dtype)

    return [
        entry("SparseMatrixMatMul", lambda v, y: R.SparseMatrixMatMul(a=_csr(v), b=y), (V, numbers(4, 2))),
        entry(
            "SparseMatrixMatMul, transpose_a",
            lambda v, y: R.SparseMatrixMatMul(a=_csr(v), b=y, transpose_a=True),
            (V, numbers(3, 2)),
        ),
        entry(
            "SparseMatrixMatMul, transpose_output",
            lambda v, y: R.SparseMatrixMatMul(a=_csr(v), b=y, transpose_output=True),
            (V, numbers(4, 2)),
        ),
        entry("CSRSparseMatrixToDense", lambda v: dense(_csr(v), v) ** 2, V),
        entry(
            "CSRSparseMatrixToSparseTensor",
            lambda v: R.CSRSparseMatrixToSparseTensor(sparse_matrix=_csr(v), type=v.dtype)[1] ** 2,
            V,
        ),
        entry(
            "SparseMatrixTranspose", lambda v: dense(R.SparseMatrixTranspose(input=_csr(v), type=v.dtype), v) ** 2, V
        ),
        entry(
            "DenseToCSRSparseMatrix",
            lambda x: dense(R.DenseToCSRSparseMatrix(dense_input=x, indices=INDICES), x) ** 2,
            DENSE,
        ),
    ]


ENTRIES = [*_products(), *_reductions(), *_places(), *_sums(), *_counts(), *_csr_matrices()]
