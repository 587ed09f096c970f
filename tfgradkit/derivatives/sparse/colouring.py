"""Columns that share no row can be computed together: one pass for each colour of them.

A. Curtis, M. Powell, J. Reid, "On the estimation of sparse Jacobian matrices" (1974); T. Coleman,
J. Moré, "Estimation of sparse Jacobian matrices and graph coloring problems" (1983); A. Gebremedhin,
F. Manne, A. Pothen, "What color is your Jacobian?", SIAM Review 47 (2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .libraries import group_columns


@dataclass(frozen=True)
class Colouring:
    """Colours of the columns (forward mode) or of the rows (reverse mode) of a pattern.

    Attributes:
        forward: whether columns are coloured.
        colours: of each column, or row; -1 for an empty one, which needs no pass.
        count: how many there are.
    """

    forward: bool
    colours: np.ndarray
    count: int


def coloured(pattern: Any, forward: bool) -> Colouring:
    """A greedy colouring: in natural order, best for stencils, or the fullest first, best for many others."""
    matrix = (pattern if forward else pattern.T).tocsc()
    entries = np.diff(matrix.indptr)
    used = np.flatnonzero(entries)
    colours = np.full(matrix.shape[1], -1)
    if not len(used):
        return Colouring(forward, colours, 0)
    kept = matrix[:, used].astype(np.int32)
    orders = (np.arange(len(used)), np.argsort(-entries[used], kind="stable"))
    best = min((group_columns()(kept, order) for order in orders), key=np.max)
    colours[used] = best
    return Colouring(forward, colours, int(best.max()) + 1)
