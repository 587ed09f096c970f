"""Patterns that the caller knows: sparse matrices, masks and tensors as a CSR matrix of bools.

Where the pattern of a signature comes from: the caller, or the graph; found once.

SciPy matrices, and tensors, from the entries of a sparse Jacobian; all samples share one pattern.
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ...analysis.sparsity.detect import detected
from ...analysis.sparsity.scipy_access import scipy_sparse
from ...errors import SignatureError
from ...public import public
from ..point import Point
from ..trace import signature_of

_EXPECTED = "a SciPy sparse matrix, a dense mask, or a tf.SparseTensor, outputs by inputs"


def given_pattern(pattern: Any) -> Any:
    """``pattern`` as CSR; every entry that is stored counts, and what is not zero in a dense mask.

    Raises:
        SignatureError: it is no matrix.
    """
    sparse = scipy_sparse()
    if isinstance(pattern, tf.SparseTensor):
        pattern = _from_sparse_tensor(pattern)
    if not sparse.issparse(pattern):
        pattern = _from_mask(pattern)
    if len(pattern.shape) != 2:
        raise SignatureError("pattern is no matrix", expected=_EXPECTED, got=f"shape {pattern.shape}")
    entries = pattern.tocoo()
    found = sparse.csr_matrix((np.ones(entries.nnz, bool), (entries.row, entries.col)), pattern.shape)
    found.sum_duplicates()
    return found


def fitted(pattern: Any, rows: int, columns: int, name: str) -> Any:
    """``pattern``, of the right shape.

    Raises:
        SignatureError: another shape than the Jacobian's.
    """
    if pattern.shape != (rows, columns):
        raise SignatureError(
            "pattern has the wrong shape",
            subject=name,
            expected=f"({rows}, {columns}): the outputs of one sample by its inputs, flattened",
            got=str(tuple(pattern.shape)),
        )
    return pattern


def _from_sparse_tensor(pattern: tf.SparseTensor) -> Any:
    indices = pattern.indices.numpy()
    shape = tuple(pattern.dense_shape.numpy())
    if len(shape) != 2:
        raise SignatureError("pattern is no matrix", expected=_EXPECTED, got=f"shape {shape}")
    return scipy_sparse().coo_matrix((np.ones(len(indices), bool), (indices[:, 0], indices[:, 1])), shape)


def _from_mask(pattern: Any) -> Any:
    mask = np.asarray(pattern)
    if mask.ndim != 2 or mask.dtype.kind not in "biuf":
        raise SignatureError(
            "pattern is no matrix", expected=_EXPECTED, got=f"{type(pattern).__name__} of shape {mask.shape}"
        )
    return scipy_sparse().coo_matrix(mask != 0)


class Patterns:
    """The patterns of a derivative, one for each signature.

    Attributes:
        latest: that of the signature that was traced last.
    """

    def __init__(self, given: Any = None) -> None:
        self.given = given
        self.latest: Any = None
        self._found: dict[Any, Any] = {}

    def of(self, point: Point, y: tf.Tensor, x: tf.Tensor) -> tuple[Any, str]:
        """The pattern at ``point`` of y by x, flat both, and where it comes from.

        Raises:
            SignatureError: the given one has another shape than the Jacobian.
        """
        if self.given is not None:
            self.latest = fitted(self.given, y.shape[-1], x.shape[-1], point.name)
            return self.latest, "given"
        arguments = list(point.arguments)
        key = signature_of((arguments, None), point.batched)
        if key not in self._found:
            self._found[key] = self._detected(point, arguments)
        self.latest = self._found[key]
        return self.latest, "detected"

    def _detected(self, point: Point, arguments: list[Any]) -> Any:
        def traced(sample: Any) -> Any:
            assert point.reselect is not None
            selection = point.reselect(sample)
            return selection.xs, selection.f(selection.xs, 1)

        return detected(traced, arguments, point.batched, point.name)


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
