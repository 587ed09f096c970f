"""Singular values of the Jacobians, and how well conditioned they are: plain, and free of units."""

from __future__ import annotations

import numpy as np

from ..blocks import Block, Picture, Problem, Section, Text, Verdict, table
from ..context import Context
from ..drawing import spectrum_svg
from ..jacobians import Jacobians
from ..numbers import count, short, span

Array = np.ndarray
_LISTED = 8


def section(context: Context) -> Section:
    """The singular values over the points, condition numbers and ranks."""
    found = context.jacobians
    usable = found.matrix[found.finite]
    if not len(usable) or not usable.size:
        none = Problem("No Jacobian here is finite, so none has singular values.")
        return Section("singular", "Singular values", (none,), "not available", "bad")
    work = usable.shape[1] * usable.shape[2] * min(usable.shape[1:])
    matrix = usable[: max(1, context.limits.factored // max(1, work))]
    plain = singular_values(matrix)
    blocks: list[Block] = [Text(found.limit)] if found.limit else []
    if len(matrix) < len(usable):
        blocks.append(Text(f"Too large to decompose at every point: {len(matrix)} of {len(usable)} are used."))
    scales = _spreads(found)
    scaled = None
    if scales is None:
        blocks.append(Text("Over these points an input or output doesn't vary, so nothing tells their scales."))
    else:
        rows, columns = scales
        scaled = singular_values(matrix * columns / rows[:, None])
        blocks.append(
            Text(
                "The plain singular values depend on the units. The scaled ones are those of the Jacobian from inputs "
                "to outputs that are each divided by their standard deviation over the points."
            )
        )
    blocks += [_conditions(plain, scaled, matrix.shape[1:]), _values(plain, scaled)]
    best = plain if scaled is None else scaled
    if best.shape[1] > 2 and best.max() > 0:
        blocks.append(_spectrum(best, "scaled " if scaled is not None else ""))
    summary, verdict = _summary(best, matrix.shape[1:], scaled is not None)
    return Section("singular", "Singular values", tuple(blocks), summary, verdict)


def _spreads(found: Jacobians) -> tuple[Array, Array] | None:
    """Standard deviations of the outputs and inputs over the points; None where one is zero."""
    with np.errstate(invalid="ignore"):
        rows, columns = found.y.std(axis=0), found.x.std(axis=0)
    fine = all(np.all(np.isfinite(s)) and np.all(s > 0) for s in (rows, columns))
    return (rows, columns) if fine else None


def singular_values(matrix: Array) -> Array:
    """Of each point, the largest first: by way of a QR decomposition, which leaves them as they are."""
    tall = matrix if matrix.shape[1] >= matrix.shape[2] else np.swapaxes(matrix, 1, 2)
    return np.asarray(np.linalg.svd(np.linalg.qr(tall, mode="r"), compute_uv=False))


def condition(values: Array) -> Array:
    """Largest by smallest singular value of each point; infinite where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values[:, 0] > 0, values[:, 0] / values[:, -1], np.inf)


def rank(values: Array, shape: tuple[int, ...]) -> Array:
    """How many singular values are above rounding, as ``numpy.linalg.matrix_rank`` counts them."""
    return np.sum(values > values[:, :1] * max(shape) * np.finfo(np.float64).eps, axis=1)


def _conditions(plain: Array, scaled: Array | None, shape: tuple[int, ...]) -> Block:
    rows = []
    for name, values in (("plain", plain), *((("scaled", scaled),) if scaled is not None else ())):
        numbers, ranks = condition(values), rank(values, shape)
        worst = int(np.argmax(numbers))
        rows.append(
            (
                name,
                short(float(numbers.min())),
                short(float(np.median(numbers))),
                f"{short(float(numbers[worst]))} at point {worst + 1}",
                str(ranks[0]) if np.all(ranks == ranks[0]) else f"{ranks.min()} to {ranks.max()}",
            )
        )
    caption = f"Condition number, the largest by the smallest singular value, over {count(len(plain), 'point')}"
    return table(caption, ("Jacobian", "smallest", "median", "largest", f"rank of {min(shape)}"), rows, (1, 2, 3, 4))


def _values(plain: Array, scaled: Array | None) -> Block:
    size = plain.shape[1]
    listed = list(range(size)) if size <= _LISTED else [*range(_LISTED - 1), size - 1]
    rows = []
    for i in listed:
        columns = [plain[:, i], *([scaled[:, i]] if scaled is not None else [])]
        texts = [span(float(c.min()), float(np.median(c)), float(c.max())) for c in columns]
        rows.append((str(i + 1), *texts))
    left = f"; {size - len(listed)} between are left out" if len(listed) < size else ""
    names = ("number", "plain", *(("scaled",) if scaled is not None else ()))
    return table(f"Singular values: median and range over the points{left}", names, rows, (1, 2))


def _spectrum(values: Array, which: str) -> Block:
    low, middle, high = values.min(axis=0), np.median(values, axis=0), values.max(axis=0)
    alternative = (
        f"The {which}singular values by their number: the median falls from {short(float(middle[0]))} "
        f"to {short(float(middle[-1]))}"
    )
    svg = spectrum_svg(low, middle, high, alternative, "spectrum")
    return Picture(svg, alternative, f"The {which}singular values by their number: median, and range over the points.")


def _summary(values: Array, shape: tuple[int, ...], scaled: bool) -> tuple[str, Verdict | None]:
    ranks, worst = rank(values, shape), float(condition(values).max())
    which = "scaled " if scaled else ""
    if ranks.min() < min(shape):
        short_of = count(int(np.sum(ranks < min(shape))), "point")
        return f"rank {ranks.min()} of {min(shape)} at {short_of}", "attention"
    return f"{which}condition number up to {short(worst)}", None
