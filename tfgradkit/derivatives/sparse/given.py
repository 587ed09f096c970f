"""Patterns that the caller knows: sparse matrices, masks and tensors as a CSR matrix of bools."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import SignatureError
from .libraries import scipy_sparse

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
