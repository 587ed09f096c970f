"""Sets of columns, each stored once and known by a number, so that tensors of sets are integer arrays.

Index set propagation (Griewank & Walther, "Evaluating Derivatives", 2nd ed., ch. 7.1) gives every
intermediate number the set of inputs on which it may depend. Neighbouring numbers mostly share their
sets: channels of a convolution, all results of a dense layer. Here a tensor's dependence is an
array of its shape that holds numbers of sets, so moving elements about is moving integers about.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .scipy_access import scipy_sparse

# The number of the empty set: padding with zeros is padding with it.
EMPTY = 0


class IndexSets:
    """Subsets of ``range(columns)``, by number."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._table = scipy_sparse().csr_matrix((1, columns), dtype=bool)
        # 128 random bits for each column. Two sets with the same sum of these count as the same set: that they differ
        # is as unlikely as a collision of a cryptographic hash.
        self._weights = np.random.default_rng(0).integers(0, 1 << 64, (2, columns), np.uint64, endpoint=False)
        self._numbers: dict[bytes, int] = {bytes(16): EMPTY}

    def singles(self) -> np.ndarray:
        """The numbers of ``{0}``, ``{1}``, …."""
        return self._added(scipy_sparse().identity(self.columns, dtype=bool, format="csr"))

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
        distinct, _, places = _distinct(np.sort(flat, axis=1))
        starts = np.arange(0, distinct.size + 1, width)
        return self.merged(distinct.ravel(), starts)[places].reshape(lead)

    def merged(self, numbers: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The union of ``numbers[starts[i]:starts[i + 1]]`` for each i."""
        ones = np.ones(len(numbers), bool)
        shape = (len(starts) - 1, self._table.shape[0])
        return self._numbered(scipy_sparse().csr_matrix((ones, numbers, starts), shape) @ self._table)

    def grouped(self, numbers: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
        """For each group in ``range(count)``, the union of the sets in it; sets in a group below 0 are dropped."""
        numbers, groups = np.ravel(numbers), np.ravel(groups)
        kept = (numbers != EMPTY) & (groups >= 0)
        numbers, groups = numbers[kept], groups[kept]
        sizes = np.bincount(groups, minlength=count)
        if sizes.max(initial=0) <= 1:
            found = np.full(count, EMPTY)
            found[groups] = numbers
            return found
        starts = np.concatenate([[0], np.cumsum(sizes)])
        return self.merged(numbers[np.argsort(groups, kind="stable")], starts)

    def _numbered(self, rows: Any) -> np.ndarray:
        """The number of each set, given as rows; new sets are added."""
        rows.sort_indices()
        sums = np.cumsum(self._weights[:, rows.indices], axis=1, dtype=np.uint64)
        sums = np.concatenate([np.zeros((2, 1), np.uint64), sums], axis=1)
        hashes = np.ascontiguousarray((sums[:, rows.indptr[1:]] - sums[:, rows.indptr[:-1]]).T)
        distinct, first, places = _distinct(hashes)
        known = [self._numbers.get(key.tobytes()) for key in distinct]
        new = [i for i, number in enumerate(known) if number is None]
        if new:
            numbers = self._added(rows[first[new]]).tolist()
            self._numbers.update(zip((distinct[i].tobytes() for i in new), numbers, strict=True))
        return np.array([self._numbers[key.tobytes()] for key in distinct], np.int64)[places]

    def _added(self, rows: Any) -> np.ndarray:
        start = self._table.shape[0]
        self._table = scipy_sparse().vstack([self._table, rows], format="csr")
        return np.arange(start, start + rows.shape[0])


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct rows, the place where each stands first, and for every row the number of its distinct row."""
    rows = np.ascontiguousarray(rows)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, places = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], first, places
