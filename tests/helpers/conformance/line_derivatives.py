"""Derivatives of a function along a line, from its values alone: polynomial fits, with error bars and kinks.

Along x + t v the values at Chebyshev points of an interval around t = 0 are interpolated, and the polynomial is
differentiated (Trefethen, Approximation Theory and Approximation Practice, chapter 21). Of several intervals those
two are taken whose results agree best, and their difference is the error, as in Ridders' method (1982). Fits from
the left and from the right tell a kink, and serve where the function ends at x.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Curve = Callable[[float], np.ndarray]
RADII = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
_CENTRAL, _SIDED = 12, 9


@dataclass(frozen=True)
class Estimate:
    """A derivative of each output along the line.

    Attributes:
        value: [outputs].
        error: [outputs], an estimate; infinite where the fits don't agree.
        smooth: [outputs], whether the derivatives from the left and the right are the same, as far as can be told.
    """

    value: np.ndarray
    error: np.ndarray
    smooth: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Outputs whose derivative there is, to six digits."""
        return self.smooth & (self.error < 1e-6 * np.maximum(1, np.abs(self.value)))


def line_derivatives(curve: Curve, orders: int, scale: float = 1.0) -> list[Estimate]:
    """The derivatives 1 to ``orders`` of ``curve`` at 0; ``scale`` is that over which it changes."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        central, right, left = (_best(curve, side, orders, scale) for side in (0, 1, -1))
    smooth = np.ones_like(central[0][0], bool)
    estimates = []
    for order in range(orders):
        fits = [(values[order], errors[order]) for values, errors in (central, right, left)]
        estimate = _joined(*fits)
        smooth = smooth & estimate.smooth
        estimates.append(Estimate(estimate.value, estimate.error, smooth))
    return estimates


def _joined(central: tuple[np.ndarray, np.ndarray], right: Any, left: Any) -> Estimate:
    """Of fits on both sides, which count together or, where the function ends at x, alone."""
    (value, error), (above, error_above), (below, error_below) = central, right, left
    bars = error_above + error_below
    jump = np.abs(above - below)
    smooth = ~(np.isfinite(bars) & (jump > 10 * bars + 1e-5 * np.maximum(1, np.abs(value))))
    ends = (np.isfinite(error_above) ^ np.isfinite(error_below)) & ~np.isfinite(error)
    sided = np.where(np.isfinite(error_above), above, below)
    # Where both sides agree better than the fit across x does, it is across a kink of a higher order.
    pieced = smooth & (bars < error)
    value = np.where(ends, sided, np.where(pieced, (above + below) / 2, value))
    error = np.where(ends, np.fmin(error_above, error_below), np.where(pieced, bars + jump, error))
    return Estimate(value, error, smooth)


def _best(curve: Curve, side: int, orders: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors, [orders, outputs]: of neighbouring radii the two that agree best."""
    fits = [_fit(curve, side, orders, radius * scale) for radius in RADII]
    values = np.stack([value for value, _ in fits])
    rounding = np.stack([error for _, error in fits])
    errors = np.abs(np.diff(values, axis=0)) + rounding[1:] + rounding[:-1]
    errors = np.where(np.isfinite(errors), errors, np.inf)
    best = np.argmin(errors, 0)[None]
    # Of two that agree the smaller radius has the smaller error of truncation, the larger that of rounding.
    return np.take_along_axis(values[:-1], best, 0)[0], np.take_along_axis(errors, best, 0)[0]


def _fit(curve: Curve, side: int, orders: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = _rule(side, orders)
    values = np.stack([curve(radius * node) for node in nodes])
    powers = radius ** np.arange(1, orders + 1)[:, None]
    noise = 4e-16 * np.abs(weights).sum(1, keepdims=True) * np.abs(values).max(0)
    return weights @ values / powers, noise / powers


@functools.cache
def _rule(side: int, orders: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [-1, 1], [0, 1] or [-1, 0], and for each order the weights that give the derivative at 0."""
    count = _SIDED if side else _CENTRAL
    s = np.cos(np.pi * np.arange(count) / (count - 1)) if side else np.cos(np.pi * (np.arange(count) + 0.5) / count)
    basis = np.linalg.inv(np.polynomial.chebyshev.chebvander(s, count - 1))
    at, stretch = (-float(side), 2.0) if side else (0.0, 1.0)
    rows = []
    for order in range(1, orders + 1):
        slopes = [
            np.polynomial.chebyshev.chebval(at, np.polynomial.chebyshev.chebder(unit, order)) for unit in np.eye(count)
        ]
        rows.append(np.array(slopes) @ basis * stretch**order)
    return (s + side) / stretch, np.stack(rows)
