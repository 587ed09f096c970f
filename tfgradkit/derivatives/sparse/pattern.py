"""The pattern of a sparse Jacobian: what the caller knows, or what the graph says; found once a signature."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ...analysis.sparsity.detect import detected
from ...analysis.sparsity.scipy_access import scipy_sparse
from ...errors import SignatureError
from ..evaluate import signature_of
from ..problem import Problem, select

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

    def of(self, problem: Problem, y: tf.Tensor, x: tf.Tensor) -> tuple[Any, str]:
        """The pattern at ``problem`` of y by x, flat both, and where it comes from.

        Raises:
            SignatureError: the given one has another shape than the Jacobian.
        """
        if self.given is not None:
            self.latest = fitted(self.given, y.shape[-1], x.shape[-1], problem.name)
            return self.latest, "given"
        arguments = list(problem.arguments)
        key = signature_of((arguments, None), None)
        if key not in self._found:
            self._found[key] = self._detected(problem, arguments)
        self.latest = self._found[key]
        return self.latest, "detected"

    def _detected(self, problem: Problem, arguments: list[Any]) -> Any:
        def traced(sample: Any) -> Any:
            assert problem.source is not None
            selection = select(problem.source, problem.options, sample)
            return selection.xs, selection.f(selection.xs, 1)

        return detected(traced, arguments, problem.batched, problem.name)
