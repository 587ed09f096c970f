"""Sets of columns, each stored once and known by a number, so that tensors of sets are integer arrays.

Index set propagation (Griewank & Walther, "Evaluating Derivatives", 2nd ed., ch. 7.1) gives every
intermediate number the set of inputs that it may depend on. Neighbouring numbers mostly share their
sets: channels of a convolution, all results of a dense layer. Here a tensor's dependence is an
array of its shape that holds numbers of sets, so moving elements about is moving integers about.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .libraries import scipy_sparse

# The number of the empty set: padding with zeros is padding with it.
EMPTY = 0


class IndexSets:
    """Subsets of ``range(columns)``, by number."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._table = scipy_sparse().csr_matrix((1, columns), dtype=bool)
        self._numbers = {_digest(np.empty(0, np.int32)): EMPTY}

    def singles(self) -> np.ndarray:
        """The numbers of ``{0}``, ``{1}``, …."""
        return self.numbered(scipy_sparse().identity(self.columns, dtype=bool, format="csr"))

    def rows(self, numbers: np.ndarray) -> Any:
        """The sets as the rows of a CSR matrix of bools."""
        return self._table[np.ravel(numbers)]

    def union(self, numbers: np.ndarray) -> np.ndarray:
        """``[..., k] → [...]``: unions along the last axis."""
        *lead, width = numbers.shape
        if width == 0:
            return np.full(lead, EMPTY)
        flat = numbers.reshape(-1, width)
        if width == 1 or (flat == flat[:, :1]).all():
            return flat[:, 0].reshape(lead)
        distinct, places = _distinct_rows(np.sort(flat, axis=1))
        starts = np.arange(0, distinct.size + 1, width)
        return self.merged(distinct.ravel(), starts)[places].reshape(lead)

    def merged(self, numbers: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The union of ``numbers[starts[i]:starts[i + 1]]`` for each i."""
        ones = np.ones(len(numbers), bool)
        shape = (len(starts) - 1, self._table.shape[0])
        return self.numbered(scipy_sparse().csr_matrix((ones, numbers, starts), shape) @ self._table)

    def grouped(self, numbers: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
        """For each group below ``count``, the union of the sets that belong to it; groups below 0 are dropped."""
        numbers, groups = np.ravel(numbers), np.ravel(groups)
        kept = (numbers != EMPTY) & (groups >= 0)
        numbers, groups = numbers[kept], groups[kept]
        starts = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=count))])
        return self.merged(numbers[np.argsort(groups, kind="stable")], starts)

    def numbered(self, rows: Any) -> np.ndarray:
        """The number of each row, a set; new sets are added."""
        rows.sort_indices()
        numbers, new = np.empty(rows.shape[0], np.int64), []
        for row, (first, last) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
            key = _digest(rows.indices[first:last])
            if key not in self._numbers:
                self._numbers[key] = self._table.shape[0] + len(new)
                new.append(row)
            numbers[row] = self._numbers[key]
        if new:
            self._table = scipy_sparse().vstack([self._table, rows[new]], format="csr")
        return numbers


def _digest(indices: np.ndarray) -> bytes:
    return hashlib.blake2b(np.asarray(indices, np.int32).tobytes(), digest_size=16).digest()


def _distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.ascontiguousarray(rows)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, places = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], places
