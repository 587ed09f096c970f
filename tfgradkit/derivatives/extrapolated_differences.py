"""A derivative along a direction from values alone, with an estimate of its error.

Central differences over a sweep of steps h = 2**-k, extrapolated to h = 0 (L. F. Richardson 1911), and of all
entries of the table the one with the smallest estimated error (C. J. F. Ridders, "Accurate computation of F'(x) and
F'(x) F''(x)", Advances in Engineering Software 4, 1982; "dfridr" in Numerical Recipes). At a kink the differences to
both sides don't agree, however small h is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

Array = np.ndarray
_COLUMNS = 6
# Steps that it takes to tell anything.
_FEWEST = 8


@dataclass(frozen=True)
class Difference:
    """∂f/∂v from differences.

    Attributes:
        slope: the derivative, shaped like f.
        error: estimate of its largest error.
        kink: whether the differences to both sides don't agree.
        jump: whether f itself has another limit from one side than its value.
    """

    derivative: Array
    error: float
    kink: bool
    jump: bool


def steps(epsilon: float) -> list[float]:
    """The sweep: from 1/8 to where rounding leaves nothing."""
    return [2.0**-k for k in range(3, int(-np.log2(epsilon) * 0.75))]


def differentiate(ahead: Sequence[Array], behind: Sequence[Array], here: Array, epsilon: float) -> Difference:
    """The derivative from f(x + h v), f(x - h v) for each of :func:`steps`, and f(x).

    Args:
        ahead, behind, here: values of f, of one shape, in float64.
        epsilon: the relative rounding of f.

    Steps that leave the domain of f, where it is not finite, are left out. Where too few are left, as at its edge, that
    is a kink.
    """
    sweep = steps(epsilon)
    first = _first_finite(ahead, behind)
    if len(sweep) - first < _FEWEST:
        return Difference(np.full_like(here, np.nan), np.inf, True, False)
    sweep, ahead, behind = sweep[first:], ahead[first:], behind[first:]
    rounding = epsilon * float(np.max(np.abs(here), initial=0.0))
    central = [(a - b) / (2 * h) for a, b, h in zip(ahead, behind, sweep, strict=True)]
    scatter = _scatter(ahead, behind, here, rounding)
    derivative, error = _extrapolated(central, [(rounding + s) / h for s, h in zip(scatter, sweep, strict=True)])
    right = [a - here for a in ahead]
    left = [here - b for b in behind]
    jump = _is_steady(right, rounding) or _is_steady(left, rounding)
    gaps = [_largest(r - w) / h for r, w, h in zip(right, left, sweep, strict=True)]
    return Difference(derivative, error, jump or _is_kink(gaps, sweep, rounding, _largest(derivative)), jump)


def _first_finite(ahead: Sequence[Array], behind: Sequence[Array]) -> int:
    """The number of the step from which on all values are finite."""
    bad = [i for i, pair in enumerate(zip(ahead, behind, strict=True)) if not all(np.isfinite(v).all() for v in pair)]
    return bad[-1] + 1 if bad else 0


def _extrapolated(central: Sequence[Array], floors: Sequence[float]) -> tuple[Array, float]:
    best, least = central[0], np.inf
    above: list[Array] = []
    for number, (entry, floor) in enumerate(zip(central, floors, strict=True)):
        row = [entry]
        for column, older in enumerate(above[:_COLUMNS]):
            row.append(row[-1] + (row[-1] - older) / (4.0 ** (column + 1) - 1))
            error = max(_largest(row[-1] - row[-2]), _largest(row[-1] - older)) + floor
            # An error of NaN is not smaller.
            if error < least and _is_confirmed(row[-1], error, central, floors, number, column + 1):
                best, least = row[-1], error
        above = row
    return best, least


def _is_confirmed(
    derivative: Array, error: float, central: Sequence[Array], floors: Sequence[float], row: int, used: int
) -> bool:
    """Whether smaller steps come no farther from ``derivative`` than the steps it was made from, up to their errors.

    Where many kinks lie between x - h v and x + h v, two steps may agree by accident; the next ones then don't.
    """
    farthest = max(_largest(entry - derivative) for entry in central[row - used : row + 1])
    return all(
        _largest(entry - derivative) <= farthest + 2 * (error + floor)
        for entry, floor in zip(central[row + 1 :], floors[row + 1 :], strict=True)
    )


def _scatter(ahead: Sequence[Array], behind: Sequence[Array], here: Array, rounding: float) -> list[float]:
    """How far values of f scatter about a smooth function, over each step and all smaller ones.

    From second differences of small steps, of which a smooth f leaves next to nothing once the part in h² is taken off
    (after J. J. Moré and S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33, 2011). Noise is there
    at every step; what a kink beside x leaves is gone for steps that don't reach it.
    """
    second = [a + b - 2 * here for a, b in zip(ahead, behind, strict=True)]
    large = len(second) // 3
    left = [_largest(wide - 4 * narrow) for wide, narrow in pairwise(second)]
    below = [0.0, *accumulate(reversed(left[large:]), max)][::-1]
    if _is_flat(left[large:], 100 * rounding):
        below = [below[0]] * len(below)
    return [below[0]] * large + below


def _is_flat(left: Sequence[float], floor: float) -> bool:
    """Whether the rest of second differences stays over steps of a 64th: noise; the rest of a kink falls to a 64th.

    A function that is rounded inside leaves nothing at last, since it is a staircase.
    """
    levels = [max(left[i : i + 4]) for i in range(len(left) - 3)]
    return any(fine > max(floor, coarse / 4) for coarse, fine in zip(levels, levels[6:], strict=False))


def _largest(x: Array) -> float:
    return float(np.max(np.abs(x), initial=0.0))


def _small_steps(sweep: Sequence[float]) -> slice:
    """The steps in the middle: small, but not so small that rounding counts most."""
    return slice(len(sweep) // 3, 2 * len(sweep) // 3)


def _is_kink(gaps: Sequence[float], sweep: Sequence[float], rounding: float, derivative: float) -> bool:
    """The gap of a smooth function is proportional to h, that of a kink stays."""
    middle = _small_steps(sweep)
    chosen, floor = list(gaps[middle]), 100 * rounding / sweep[middle][-1]
    stays = min(chosen) > 0.5 * max(chosen)
    return stays and min(chosen) > max(floor, 1e-4 * derivative)


def _is_steady(changes: Sequence[Array], rounding: float) -> bool:
    """Whether f(x ± h v) - f(x) tends to something other than zero."""
    middle = _small_steps(changes)  # type: ignore[arg-type]
    sizes = [_largest(change) for change in changes[middle]]
    spread = max(_largest(change - changes[middle][-1]) for change in changes[middle])
    return min(sizes) > max(1e3 * rounding, 0.0) and spread < 0.01 * min(sizes)


def along(value: Callable[[float], Array], epsilon: float) -> Difference:
    """The derivative of ``value`` at 0."""
    here = value(0.0)
    sweep = steps(epsilon)
    return differentiate([value(h) for h in sweep], [value(-h) for h in sweep], here, epsilon)
