"""The sections on the Jacobian at the points: heat maps, entries and sparsity; singular values and conditioning.

Singular values are shown plain, and scaled by the standard deviations of inputs and outputs, which frees them of units.
"""

from __future__ import annotations

import numpy as np

from ..context import Context
from ..jacobians import Jacobians
from ..page_parts import (
    ColourBar,
    FailureNote,
    HeatMap,
    Map,
    PageBlock,
    PageSection,
    Picture,
    Text,
    Verdict,
    count,
    short,
    span,
    table,
)
from ..picture.svg import Scale, condensed, scale_of, spectrum_svg
from ..report_points import Limits

Array = np.ndarray
_LISTED = 16
_MOST_VALUES = 8


def jacobian_section(context: Context) -> PageSection:
    """Maps of a few points, the ranges of the entries over all points, and the zero entries."""
    jacobians = context.jacobians
    matrix = jacobians.matrix[jacobians.finite]
    blocks: list[PageBlock] = [Text(jacobians.limit)] if jacobians.limit else []
    if broken := int(np.sum(~jacobians.finite)):
        blocks.append(
            FailureNote(f"At {broken} of {count(len(jacobians.matrix), 'point')} an entry is NaN or infinite.")
        )
    blocks.append(_maps(jacobians, context.limits))
    if len(matrix):
        blocks += [_entries(jacobians, matrix), *_sparsity(jacobians, matrix, context.limits)]
    zero = float(np.mean(np.all(matrix == 0, axis=0))) if len(matrix) else 0.0
    shape = f"{jacobians.total_rows:,} × {len(jacobians.columns):,}"
    summary = f"{shape}, {'dense' if zero == 0 else f'{zero:.0%} of the entries are zero everywhere'}"
    if broken:
        summary += f"; not finite at {count(broken, 'point')}"
    return PageSection("jacobian", "Jacobian", tuple(blocks), summary, "bad" if broken else None)


def _maps(jacobians: Jacobians, limits: Limits) -> HeatMap:
    """Heat maps at the first points, all in one scale."""
    chosen = range(min(limits.maps, len(jacobians.matrix)))
    drawn = [condensed(jacobians.matrix[i], limits.cells) for i in chosen]
    scale = scale_of(np.stack(drawn))
    maps = tuple(_map(jacobians, drawn[i], scale, f"point {i + 1}{_where(jacobians, i)}", limits) for i in chosen)
    bar = scale.bar()
    if drawn[0].shape != jacobians.matrix.shape[1:]:
        rows, columns = drawn[0].shape
        note = f"Aggregated to {rows} × {columns} cells: each shows the entry of the largest magnitude in it."
        bar = ColourBar(bar.ticks, f"{bar.note} {note}")
    alternative = (
        f"Heat maps of the Jacobian at {count(len(maps), 'point')}: {len(jacobians.rows)} outputs downwards, "
        f"{len(jacobians.columns)} inputs across"
    )
    return HeatMap(alternative, maps, bar)


def _where(jacobians: Jacobians, point: int) -> str:
    x = jacobians.x[point]
    return f": x = ({', '.join(short(float(v)) for v in x)})" if len(x) <= 3 else ""


def _map(jacobians: Jacobians, matrix: Array, scale: Scale, title: str, limits: Limits) -> Map:
    shades = tuple(tuple(float(v) for v in row) for row in scale.shades(matrix))
    small = max(matrix.shape) <= limits.numbers
    texts = tuple(tuple(short(float(v)) for v in row) for row in matrix) if small else ()
    return Map(title, shades, texts, ends(jacobians.rows, small), ends(jacobians.columns, small))


def ends(labels: tuple[str, ...], small: bool) -> tuple[str, ...]:
    """All labels of a small map, the first and the last label of a large map."""
    return labels if small or len(labels) < 2 else (labels[0], labels[-1])


def _entries(jacobians: Jacobians, matrix: Array) -> PageBlock:
    """The ranges of the entries over the points; of many entries, those of the largest median magnitude."""
    low, middle, high = matrix.min(axis=0), np.median(matrix, axis=0), matrix.max(axis=0)
    order = np.argsort(-np.abs(middle), axis=None, kind="stable") if middle.size > _LISTED else np.arange(middle.size)
    rows = []
    for flat in order[:_LISTED]:
        i, j = np.unravel_index(flat, middle.shape)
        values = [short(float(v[i, j])) for v in (low, middle, high)]
        rows.append((f"∂{jacobians.rows[i]} / ∂{jacobians.columns[j]}", *values))
    which = "Entries" if middle.size <= _LISTED else f"The {_LISTED} largest of {middle.size:,} entries, by median"
    caption = f"{which}, over {count(len(matrix), 'point')}"
    return table(caption, ("entry", "smallest", "median", "largest"), rows, (1, 2, 3))


def _sparsity(jacobians: Jacobians, matrix: Array, limits: Limits) -> list[PageBlock]:
    """The entries that are exactly zero: at all points, and so probably by the model's structure, or at some points."""
    nonzero = (matrix != 0).mean(axis=0)
    everywhere, some = int(np.sum(nonzero == 0)), int(np.sum((nonzero > 0) & (nonzero < 1)))
    total, points = nonzero.size, count(len(matrix), "point")
    if not everywhere and not some:
        return [Text(f"Sparsity: none of the {total:,} entries is zero at any of {points}; the Jacobian is dense.")]
    text = (
        f"Sparsity: of {total:,} entries {everywhere:,} are exactly zero at each of {points}, and {some:,} at some. "
        "This is sampled, not proven."
    )
    drawn = condensed(nonzero, limits.cells)
    small = max(drawn.shape) <= limits.numbers
    shown = Map(
        "share of the points at which an entry is not zero",
        tuple(tuple(float(v) for v in row) for row in drawn),
        tuple(tuple(f"{v:.0%}" for v in row) for row in drawn) if small else (),
        ends(jacobians.rows, small),
        ends(jacobians.columns, small),
    )
    bar = ColourBar(((0.0, "never"), (1.0, "everywhere")), "")
    return [Text(text), HeatMap("Heat map of the share of points at which each entry is not zero", (shown,), bar)]


def singular_section(context: Context) -> PageSection:
    """The singular values, condition numbers and ranks over the points."""
    jacobians = context.jacobians
    usable = jacobians.matrix[jacobians.finite]
    if not len(usable) or not usable.size:
        none = FailureNote("No Jacobian here is finite, so none has singular values.")
        return PageSection("singular", "Singular values", (none,), "not available", "bad")
    work = usable.shape[1] * usable.shape[2] * min(usable.shape[1:])
    matrix = usable[: max(1, context.limits.factored // max(1, work))]
    plain = singular_values(matrix)
    blocks: list[PageBlock] = [Text(jacobians.limit)] if jacobians.limit else []
    if len(matrix) < len(usable):
        blocks.append(Text(f"Too large to decompose at every point: {len(matrix)} of {len(usable)} are used."))
    scales = _spreads(jacobians)
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
    return PageSection("singular", "Singular values", tuple(blocks), summary, verdict)


def _spreads(jacobians: Jacobians) -> tuple[Array, Array] | None:
    """Standard deviations of the outputs and inputs over the points; None where a deviation is zero."""
    with np.errstate(invalid="ignore"):
        rows, columns = jacobians.y.std(axis=0), jacobians.x.std(axis=0)
    fine = all(np.all(np.isfinite(s)) and np.all(s > 0) for s in (rows, columns))
    return (rows, columns) if fine else None


def singular_values(matrix: Array) -> Array:
    """The singular values of each point, the largest first: of R in a QR decomposition, which has the same ones."""
    tall = matrix if matrix.shape[1] >= matrix.shape[2] else np.swapaxes(matrix, 1, 2)
    return np.asarray(np.linalg.svd(np.linalg.qr(tall, mode="r"), compute_uv=False))


def condition(values: Array) -> Array:
    """The condition number of each point, the largest by the smallest singular value; infinite where that is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values[:, 0] > 0, values[:, 0] / values[:, -1], np.inf)


def rank(values: Array, shape: tuple[int, ...]) -> Array:
    """The number of singular values above rounding, as ``numpy.linalg.matrix_rank`` counts them."""
    return np.sum(values > values[:, :1] * max(shape) * np.finfo(np.float64).eps, axis=1)


def _conditions(plain: Array, scaled: Array | None, shape: tuple[int, ...]) -> PageBlock:
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


def _values(plain: Array, scaled: Array | None) -> PageBlock:
    size = plain.shape[1]
    listed = list(range(size)) if size <= _MOST_VALUES else [*range(_MOST_VALUES - 1), size - 1]
    rows = []
    for i in listed:
        columns = [plain[:, i], *([scaled[:, i]] if scaled is not None else [])]
        texts = [span(float(c.min()), float(np.median(c)), float(c.max())) for c in columns]
        rows.append((str(i + 1), *texts))
    left = f"; {size - len(listed)} between are left out" if len(listed) < size else ""
    names = ("number", "plain", *(("scaled",) if scaled is not None else ()))
    return table(f"Singular values: median and range over the points{left}", names, rows, (1, 2))


def _spectrum(values: Array, which: str) -> PageBlock:
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
