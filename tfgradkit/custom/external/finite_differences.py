"""Jacobians of functions outside TensorFlow from their values: central differences and the complex step.

All moved points are one call of the function. The step of central differences is the user's, or chosen once from the
function's values, and reported. A Jacobian has a block for each floating result and each floating argument, results
outside: ``[B] + y + x``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...derivatives.extrapolated_differences import differentiate, steps
from ...errors import ExternalError
from ...public import public
from .python_call import Arrays, BatchFunction, PythonCall, block_starts

# Widths of the sweep: where the function is not defined as far from the point, the next, narrower one is tried.
_REACH = (1.0, 2.0**-4, 2.0**-8, 2.0**-12)
# Of the random signs of the direction.
_SEED = 1982
_COMPLEX_STEP = 1e-20


@public("types")
@dataclass(frozen=True)
class StepReport:
    """A step of finite differences.

    Attributes:
        step: relative: an argument is moved by ``step * scale``.
        error: an estimate of the derivative's relative error with this step; None for the user's own step.
        chosen: whether the step was chosen from the function's values.
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
        """How far each number of the argument ``x`` is moved for a relative step of 1."""
        if self._scale is None:
            return np.maximum(np.abs(x), 1.0).astype(x.dtype)
        return np.broadcast_to(np.asarray(self._scale, x.dtype), x.shape)

    def chosen(self, f: BatchFunction, xs: Sequence[np.ndarray], positions: Sequence[int], epsilon: float) -> float:
        """The step; the first time, the best one for ``f`` at the first sample."""
        with self._lock:
            if self.report is None:
                self.report = _best_step(f, [x[:1] for x in xs], [self.sizes(x[:1]) for x in xs], positions, epsilon)
            return self.report.step


def _best_step(
    f: BatchFunction, xs: Sequence[np.ndarray], sizes: Sequence[np.ndarray], positions: Sequence[int], epsilon: float
) -> StepReport:
    for reach in _REACH[:-1]:
        try:
            return _step_of_sweep(reach, f, xs, sizes, positions, epsilon)
        except ExternalError:  # the function is not defined that far away
            continue
    return _step_of_sweep(_REACH[-1], f, xs, sizes, positions, epsilon)


def _step_of_sweep(
    reach: float,
    f: BatchFunction,
    xs: Sequence[np.ndarray],
    sizes: Sequence[np.ndarray],
    positions: Sequence[int],
    epsilon: float,
) -> StepReport:
    """The step of a sweep whose central difference is closest to the extrapolated derivative; one call of ``f``.

    Among steps that are as close up to a factor of two, the widest.
    """
    sweep = np.array(steps(epsilon))
    offsets = reach * np.concatenate([[0.0], sweep, -sweep])
    generator = np.random.default_rng(_SEED)
    rows = [np.repeat(x, len(offsets), 0) for x in xs]
    for p in positions:
        direction = sizes[p] * generator.choice([-1.0, 1.0], xs[p].shape)
        rows[p] = rows[p] + (offsets.reshape(-1, *[1] * (xs[p].ndim - 1)) * direction).astype(xs[p].dtype)
    values = _one_vector(f(rows))
    here, ahead, behind = values[0], values[1 : 1 + len(sweep)], values[1 + len(sweep) :]
    best = differentiate(list(ahead), list(behind), here, epsilon)
    central = (ahead - behind) / (2 * sweep[:, None])
    errors = np.max(np.abs(central - best.derivative), axis=1, initial=0.0)
    errors = np.where(np.isfinite(errors), errors, np.inf)
    good = int(np.argmax(errors <= 2 * errors.min()))
    size = float(np.max(np.abs(best.derivative), initial=0.0))
    return StepReport(float(reach * sweep[good]), float(errors[good] + best.error) / (size or 1.0), True)


def _one_vector(results: Sequence[np.ndarray]) -> np.ndarray:
    """All results of a row as one vector, each result relative to its largest number."""
    columns = [np.asarray(y, np.float64).reshape(len(y), -1) for y in results if y.dtype.kind == "f"]
    return np.concatenate([c / (np.max(np.abs(c[0]), initial=0.0) or 1.0) for c in columns], axis=1)


def central_differences(
    f: BatchFunction, positions: Sequence[int], step: StepSize, argument_dtype: Callable[[np.ndarray], np.dtype]
) -> BatchFunction:
    """The Jacobian of ``f`` by the arguments at ``positions`` from central differences; one call of ``f``.

    ``argument_dtype(x)`` is the dtype in which the function takes the argument x.
    (J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd ed., sec. 8.1.)
    """

    def jacobian(arguments: Sequence[np.ndarray]) -> Arrays:
        xs = [np.asarray(x, argument_dtype(x)) for x in arguments]
        epsilon = max(float(np.finfo(xs[p].dtype).eps) for p in positions)
        h = step.chosen(f, xs, positions, epsilon)
        counts = [xs[p][0].size for p in positions]
        points = [np.repeat(x[None], 2 * sum(counts), 0) for x in xs]
        widths = []
        for p, start, count in zip(positions, block_starts(counts), counts, strict=True):
            moved, numbers = points[p].reshape(2, sum(counts), len(xs[p]), count), np.arange(count)
            by = (h * step.sizes(xs[p])).reshape(len(xs[p]), count).T
            moved[0, start + numbers, :, numbers] += by
            moved[1, start + numbers, :, numbers] -= by
            # The distance of the two points, as rounding left it.
            widths.append(moved[0, start + numbers, :, numbers] - moved[1, start + numbers, :, numbers])
        ys = f([point.reshape(-1, *x.shape[1:]) for point, x in zip(points, xs, strict=True)])
        blocks = []
        for y in _floating(ys):
            ahead, behind = y.reshape(2, sum(counts), len(xs[0]), *y.shape[1:])
            for p, start, count, width in zip(positions, block_starts(counts), counts, widths, strict=True):
                change = ahead[start : start + count] - behind[start : start + count]
                quotient = change / width.reshape(*width.shape, *[1] * (y.ndim - 1))
                blocks.append(_as_block(quotient, xs[p]))
        return blocks

    return jacobian


def complex_step(python_call: PythonCall, structure: Any, positions: Sequence[int]) -> BatchFunction:
    """The Jacobian as Im f(x + ih)/h: exact up to rounding for an analytic function that takes complex numbers.

    (W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Rev. 40, 1998.)
    """

    def jacobian(xs: Sequence[np.ndarray]) -> Arrays:
        counts = [xs[p][0].size for p in positions]
        points = [np.repeat(x[None].astype(complex) if x.dtype.kind == "f" else x[None], sum(counts), 0) for x in xs]
        for p, start, count in zip(positions, block_starts(counts), counts, strict=True):
            moved, numbers = points[p].reshape(sum(counts), len(xs[p]), count), np.arange(count)
            moved[start + numbers, :, numbers] += 1j * _COMPLEX_STEP
        moved_xs = [point.reshape(-1, *x.shape[1:]) for point, x in zip(points, xs, strict=True)]
        ys = _complex_results(python_call, python_call.run(python_call.fn, structure, moved_xs), len(moved_xs[0]))
        blocks = []
        for y in ys:
            quotients = y.imag.reshape(sum(counts), len(xs[0]), *y.shape[1:]) / _COMPLEX_STEP
            for p, start, count in zip(positions, block_starts(counts), counts, strict=True):
                blocks.append(_as_block(quotients[start : start + count], xs[p]))
        return blocks

    return jacobian


def _complex_results(python_call: PythonCall, y: Any, count: int) -> Arrays:
    """The floating results for ``count`` complex arguments.

    Raises:
        ExternalError: one is real, so that its derivative is lost.
    """
    results, outputs = [], python_call.outputs
    leaves = python_call.flatten(y, outputs.structure)
    for leaf, shape, dtype in zip(leaves, outputs.shapes, outputs.dtypes, strict=True):
        array = python_call.as_array(leaf, (count, *shape), "a result for complex arguments")
        if dtype.kind == "f":
            if array.dtype.kind != "c":
                raise ExternalError(
                    "the function outside TensorFlow returned real numbers for complex ones",
                    subject=python_call.name,
                    expected="complex numbers, of which the imaginary part is the derivative",
                    got=str(array.dtype),
                    hint='derivative="finite-difference"; abs, maximum and comparisons are not analytic',
                )
            results.append(array)
    return results


def _as_block(quotients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Quotients ``[count, B, *y]`` by the numbers of ``x`` as a block ``[B, *y, *x]``."""
    return np.moveaxis(quotients, 0, -1).reshape(*quotients.shape[1:], *x.shape[1:])


def _floating(ys: Arrays) -> Arrays:
    return [y for y in ys if y.dtype.kind == "f"]
