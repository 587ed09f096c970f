"""The distance of two sets of results."""

from __future__ import annotations

import numpy as np

# A component below this share of the largest counts as this share: it consists of the rounding errors of larger
# components. The share is about 128 times the precision, divided by the tolerance.
SMALL = {"float32": 0.15, "float64": 3e-4}


def relative_error(got: np.ndarray, expected: np.ndarray, precision: str | None = None) -> float:
    """The largest difference, relative to the largest magnitude of the component over all points.

    The first axis counts the points. Infinite where a number is NaN. ``precision`` is the dtype of the computation,
    where it is coarser than that of ``expected``.
    """
    if got.size == 0:
        return 0.0
    magnitude = np.max(np.abs(expected.astype(np.float64)), axis=0 if expected.ndim > 1 else None, keepdims=True)
    scale = np.maximum(magnitude, SMALL[precision or expected.dtype.name] * magnitude.max())
    error = np.max(np.abs(got.astype(np.float64) - expected) / np.where(scale > 0, scale, 1.0))
    return float("inf") if np.isnan(error) else float(error)


def absolute_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference; infinite where a number is NaN."""
    error = np.max(np.abs(got.astype(np.float64) - expected), initial=0.0)
    return float("inf") if np.isnan(error) else float(error)
