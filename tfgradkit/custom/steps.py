"""The step of finite differences: as given, or chosen once from the function's own values, and reported."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..diagnose.differences import differentiate, steps
from ..errors import ExternalError
from .host import BatchFunction

# A function may not be defined as far from a point as the first sweep goes: then the next, narrower one.
_REACH = (1.0, 2.0**-4, 2.0**-8, 2.0**-12)
_SIGNS = 1982


@dataclass(frozen=True)
class StepReport:
    """A step of finite differences.

    Attributes:
        step: relative: an argument is moved by ``step * scale``.
        error: estimate of the derivative's error with it, relative to the derivative; None for a step that was given.
        chosen: whether it was chosen from the function's values.
    """

    step: float
    error: float | None
    chosen: bool

    def __str__(self) -> str:
        if not self.chosen:
            return f"step {self.step:.1e}, as given"
        return f"step {self.step:.1e}, chosen; estimated relative error {self.error:.1e}"


class Step:
    """The relative step of the central differences of one function."""

    def __init__(self, given: float | None, scale: Any) -> None:
        self._lock = threading.Lock()
        self._scale = scale
        self.report = None if given is None else StepReport(given, None, False)

    def sizes(self, x: np.ndarray) -> np.ndarray:
        """By how much each number of an argument is moved, for a relative step of 1."""
        if self._scale is None:
            return np.maximum(np.abs(x), 1.0).astype(x.dtype)
        return np.broadcast_to(np.asarray(self._scale, x.dtype), x.shape)

    def chosen(self, f: BatchFunction, xs: Sequence[np.ndarray], positions: Sequence[int], epsilon: float) -> float:
        """The step; the first time, the best one for ``f`` at the first sample."""
        with self._lock:
            if self.report is None:
                self.report = _best(f, [x[:1] for x in xs], [self.sizes(x[:1]) for x in xs], positions, epsilon)
            return self.report.step


def _best(
    f: BatchFunction, xs: Sequence[np.ndarray], sizes: Sequence[np.ndarray], positions: Sequence[int], epsilon: float
) -> StepReport:
    for reach in _REACH[:-1]:
        try:
            return _within(reach, f, xs, sizes, positions, epsilon)
        except ExternalError:  # out there
            continue
    return _within(_REACH[-1], f, xs, sizes, positions, epsilon)


def _within(
    reach: float,
    f: BatchFunction,
    xs: Sequence[np.ndarray],
    sizes: Sequence[np.ndarray],
    positions: Sequence[int],
    epsilon: float,
) -> StepReport:
    """The step of a sweep whose central difference is closest to the extrapolated derivative; one call.

    Among those that are as close up to a factor of two, the widest.
    """
    sweep = np.array(steps(epsilon))
    offsets = reach * np.concatenate([[0.0], sweep, -sweep])
    generator = np.random.default_rng(_SIGNS)
    rows = [np.repeat(x, len(offsets), 0) for x in xs]
    for p in positions:
        direction = sizes[p] * generator.choice([-1.0, 1.0], xs[p].shape)
        rows[p] = rows[p] + (offsets.reshape(-1, *[1] * (xs[p].ndim - 1)) * direction).astype(xs[p].dtype)
    values = _flat(f(rows))
    here, ahead, behind = values[0], values[1 : 1 + len(sweep)], values[1 + len(sweep) :]
    best = differentiate(list(ahead), list(behind), here, epsilon)
    central = (ahead - behind) / (2 * sweep[:, None])
    errors = np.max(np.abs(central - best.slope), axis=1, initial=0.0)
    errors = np.where(np.isfinite(errors), errors, np.inf)
    good = int(np.argmax(errors <= 2 * errors.min()))
    size = float(np.max(np.abs(best.slope), initial=0.0))
    return StepReport(float(reach * sweep[good]), float(errors[good] + best.error) / (size or 1.0), True)


def _flat(results: Sequence[np.ndarray]) -> np.ndarray:
    """All results of a row as one vector, each result relative to its largest number."""
    columns = [np.asarray(y, np.float64).reshape(len(y), -1) for y in results if y.dtype.kind == "f"]
    return np.concatenate([c / (np.max(np.abs(c[0]), initial=0.0) or 1.0) for c in columns], axis=1)
