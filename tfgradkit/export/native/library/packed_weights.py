"""Weights in the layout that the product kernels read: panels of 128 bytes of columns.

``templates/products.h`` has the same in C, for matrices that a program computes.
"""

from __future__ import annotations

import numpy as np

# The same number as in templates/products.h.
PANEL_BYTES = 128


def pack_weights(weights: np.ndarray, *, transposed: bool = False) -> np.ndarray:
    """The packed layout of B ``[..., k, n]`` in products A B, of B ``[..., n, k]`` with ``transposed``.

    It is ``[..., panels, k, columns]``, contiguous, with 32 columns a panel in float32 and 16 in float64; the columns
    beyond n are 0. Its memory is what a library stores, and what ``product_pack`` writes: one copy is made.

    Raises:
        ValueError: the weights are neither float32 nor float64, or have fewer than two axes.
    """
    if weights.dtype not in (np.float32, np.float64) or weights.ndim < 2:
        raise ValueError(f"weights to pack are [..., k, n] in float32 or float64, not {weights.dtype} {weights.shape}")
    b = np.swapaxes(weights, -1, -2) if transposed else weights
    *batch, k, n = b.shape
    columns = PANEL_BYTES // b.itemsize
    full, rest = divmod(n, columns)
    packed = np.zeros((*batch, full + (rest > 0), k, columns), b.dtype)
    packed[..., :full, :, :] = np.swapaxes(b[..., : full * columns].reshape(*batch, k, full, columns), -2, -3)
    if rest:
        packed[..., full, :, :rest] = b[..., full * columns :]
    return packed
