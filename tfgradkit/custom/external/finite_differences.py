"""The step of finite differences: as given, or chosen once from the function's own values, and reported.

Jacobians of functions outside TensorFlow from their values at moved points, all of them in one call.

A block for each floating result and each floating argument, results outside: ``[B] + y + x``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...diagnose.check.extrapolated_differences import differentiate, steps
from ...errors import ExternalError
from ...public import public
from .python_call import Arrays, BatchFunction, PythonCall, starts

# A function may not be defined as far from a point as the first sweep goes: then the next, narrower one.
_REACH = (1.0, 2.0**-4, 2.0**-8, 2.0**-12)
_SIGNS = 1982


@public("types")
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


class StepSize:
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


_COMPLEX_STEP = 1e-20


def central_differences(
    f: BatchFunction, positions: Sequence[int], step: StepSize, taken: Callable[[np.ndarray], np.dtype]
) -> BatchFunction:
    """Central differences of ``f`` by the arguments at ``positions``: f at all moved points at once.

    ``taken`` is the dtype in which the function takes an argument.
    (J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd ed., sec. 8.1.)
    """

    def slopes(given: Sequence[np.ndarray]) -> Arrays:
        xs = [np.asarray(x, taken(x)) for x in given]
        epsilon = max(float(np.finfo(xs[p].dtype).eps) for p in positions)
        h = step.chosen(f, xs, positions, epsilon)
        counts = [xs[p][0].size for p in positions]
        points = [np.repeat(x[None], 2 * sum(counts), 0) for x in xs]
        widths = []
        for p, start, count in zip(positions, starts(counts), counts, strict=True):
            moved, numbers = points[p].reshape(2, sum(counts), len(xs[p]), count), np.arange(count)
            by = (h * step.sizes(xs[p])).reshape(len(xs[p]), count).T
            moved[0, start + numbers, :, numbers] += by
            moved[1, start + numbers, :, numbers] -= by
            # As it came out in rounded numbers.
            widths.append(moved[0, start + numbers, :, numbers] - moved[1, start + numbers, :, numbers])
        ys = f([point.reshape(-1, *x.shape[1:]) for point, x in zip(points, xs, strict=True)])
        blocks = []
        for y in _floating(ys):
            ahead, behind = y.reshape(2, sum(counts), len(xs[0]), *y.shape[1:])
            for p, start, count, width in zip(positions, starts(counts), counts, widths, strict=True):
                change = ahead[start : start + count] - behind[start : start + count]
                slope = change / width.reshape(*width.shape, *[1] * (y.ndim - 1))
                blocks.append(_with_axes_of(xs[p], slope))
        return blocks

    return slopes


def complex_step(host: PythonCall, structure: Any, positions: Sequence[int]) -> BatchFunction:
    """Im f(x + ih)/h: exact up to rounding for an analytic function that takes complex numbers.

    (W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Rev. 40, 1998.)
    """

    def slopes(xs: Sequence[np.ndarray]) -> Arrays:
        counts = [xs[p][0].size for p in positions]
        points = [np.repeat(x[None].astype(complex) if x.dtype.kind == "f" else x[None], sum(counts), 0) for x in xs]
        for p, start, count in zip(positions, starts(counts), counts, strict=True):
            moved, numbers = points[p].reshape(sum(counts), len(xs[p]), count), np.arange(count)
            moved[start + numbers, :, numbers] += 1j * _COMPLEX_STEP
        flat = [point.reshape(-1, *x.shape[1:]) for point, x in zip(points, xs, strict=True)]
        ys = _complex_results(host, host.raw(host.fn, structure, flat), len(flat[0]))
        blocks = []
        for y in ys:
            slope = y.imag.reshape(sum(counts), len(xs[0]), *y.shape[1:]) / _COMPLEX_STEP
            for p, start, count in zip(positions, starts(counts), counts, strict=True):
                blocks.append(_with_axes_of(xs[p], slope[start : start + count]))
        return blocks

    return slopes


def _complex_results(host: PythonCall, y: Any, count: int) -> Arrays:
    results = []
    for leaf, shape, dtype in zip(
        host.flat(y, host.outputs.structure), host.outputs.shapes, host.outputs.dtypes, strict=True
    ):
        array = host.shaped(leaf, (count, *shape), "a result for complex arguments")
        if dtype.kind == "f":
            if array.dtype.kind != "c":
                raise ExternalError(
                    "the function outside TensorFlow returned real numbers for complex ones",
                    subject=host.name,
                    expected="complex numbers, of which the imaginary part is the derivative",
                    got=str(array.dtype),
                    hint='derivative="finite-difference"; abs, maximum and comparisons are not analytic',
                )
            results.append(array)
    return results


def _with_axes_of(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """``[count, B, *y]`` → ``[B, *y, *x]``."""
    return np.moveaxis(slope, 0, -1).reshape(*slope.shape[1:], *x.shape[1:])


def _floating(ys: Arrays) -> Arrays:
    return [y for y in ys if y.dtype.kind == "f"]
