"""SciPy matrices, and tensors, from the entries of a sparse Jacobian; all samples share one pattern."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ...analysis.sparsity.scipy_access import scipy_sparse
from ...public import public


@public("types")
class CSRTensors(NamedTuple):
    """A sparse Jacobian as tensors, in compressed sparse rows; all samples share one pattern.

    Attributes:
        data: ``[B, nnz]``, or ``[nnz]``: the entries, row by row.
        indices: ``[nnz]``, int32: their columns.
        indptr: ``[rows + 1]``, int32: where each row begins.
        shape: rows and columns, int64.
    """

    data: tf.Tensor
    indices: tf.Tensor
    indptr: tf.Tensor
    shape: tf.Tensor


def index_tensors(pattern: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Indices, where rows begin, and shape of a :class:`CSRTensors`."""
    return (
        tf.constant(pattern.indices, tf.int32),
        tf.constant(pattern.indptr, tf.int32),
        tf.constant(pattern.shape, tf.int64),
    )


def matrices(data: np.ndarray, pattern: Any, batched: bool, block: bool) -> Any:
    """One CSR matrix; batched, a list of one for each sample, or one block-diagonal matrix.

    SciPy has no sparse matrices of half precision: they are float32.
    """
    data = data.astype(np.float32) if data.dtype.itemsize < np.dtype(np.float32).itemsize else data
    if not batched:
        return _matrix(data, pattern)
    if block:
        return _block_diagonal(data, pattern)
    return [_matrix(row, pattern) for row in data]


def _matrix(data: np.ndarray, pattern: Any) -> Any:
    # As the pattern is, checked and sorted: SciPy's constructor would look at every index again, on each call.
    # Arrays of its own, since a matrix is its owner's to change; what TensorFlow hands out is read-only.
    found = copy(pattern)
    found.data, found.indices, found.indptr = data.copy(), pattern.indices.copy(), pattern.indptr.copy()
    return found


def _block_diagonal(data: np.ndarray, pattern: Any) -> Any:
    count, (rows, columns) = len(data), pattern.shape
    ids = np.arange(count, dtype=np.int64)[:, None]
    starts = np.concatenate([[0], (pattern.indptr[1:] + ids * pattern.nnz).ravel()])
    indices = (pattern.indices + ids * columns).ravel()
    return scipy_sparse().csr_matrix((data.ravel(), indices, starts), (count * rows, count * columns))
