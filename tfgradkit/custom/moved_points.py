"""Jacobians of functions outside TensorFlow from their values at moved points, all of them in one call.

A block for each floating result and each floating argument, results outside: ``[B] + y + x``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ExternalError
from .host import Arrays, BatchFunction, Host, starts
from .steps import Step

_COMPLEX_STEP = 1e-20


def central(
    f: BatchFunction, positions: Sequence[int], step: Step, taken: Callable[[np.ndarray], np.dtype]
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


def complex_step(host: Host, structure: Any, positions: Sequence[int]) -> BatchFunction:
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


def _complex_results(host: Host, y: Any, count: int) -> Arrays:
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
