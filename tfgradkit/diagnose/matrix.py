"""The shape of what is not zero in a matrix."""

from __future__ import annotations

import numpy as np


def bandwidths(entries: np.ndarray) -> tuple[int, int]:
    """How many diagonals below and above the main one have entries; of truth values, ``[rows, columns]``."""
    rows, columns = np.nonzero(entries)
    return int((rows - columns).max(initial=0)), int((columns - rows).max(initial=0))


def within(entries: np.ndarray, below: int, above: int) -> bool:
    """Whether all entries lie within a band."""
    found = bandwidths(entries)
    return found[0] <= below and found[1] <= above


def components(entries: np.ndarray) -> int:
    """Into how many parts rows and columns fall that share no entry; rows and columns without any don't count."""
    rows, columns = entries.shape
    parts = np.arange(rows + columns)  # of each row and column, the smallest number among those it is tied to
    tied = np.nonzero(entries)
    while True:
        lowest = np.minimum(parts[tied[0]], parts[rows + tied[1]])
        after = parts.copy()
        np.minimum.at(after, tied[0], lowest)
        np.minimum.at(after, rows + tied[1], lowest)
        after = after[after]
        if (after == parts).all():
            return len(np.unique(parts[tied[0]]))
        parts = after
