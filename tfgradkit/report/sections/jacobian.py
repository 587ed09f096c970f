"""The Jacobian at the points: as a heat map, its sizes, its sparsity."""

from __future__ import annotations

import numpy as np

from ..blocks import Block, ColourBar, HeatMap, Map, Problem, Section, Text, table
from ..context import Context
from ..jacobians import Jacobians
from ..limits import Limits
from ..numbers import count, short
from ..shades import Scale, condensed, scale_of

Array = np.ndarray
_LISTED = 16


def section(context: Context) -> Section:
    """Maps of a few points, the entries' ranges over all, and which entries are zero."""
    found = context.jacobians
    matrix = found.matrix[found.finite]
    blocks: list[Block] = [Text(found.limit)] if found.limit else []
    if broken := int(np.sum(~found.finite)):
        blocks.append(Problem(f"At {broken} of {count(len(found.matrix), 'point')} an entry is NaN or infinite."))
    blocks.append(_maps(found, context.limits))
    if len(matrix):
        blocks += [_entries(found, matrix), *_sparsity(found, matrix, context.limits)]
    zero = float(np.mean(np.all(matrix == 0, axis=0))) if len(matrix) else 0.0
    shape = f"{found.total_rows:,} × {len(found.columns):,}"
    summary = f"{shape}, {'dense' if zero == 0 else f'{zero:.0%} of the entries are zero everywhere'}"
    if broken:
        summary += f"; not finite at {count(broken, 'point')}"
    return Section("jacobian", "Jacobian", tuple(blocks), summary, "bad" if broken else None)


def _maps(found: Jacobians, limits: Limits) -> HeatMap:
    """At the first points, all in one scale."""
    chosen = range(min(limits.maps, len(found.matrix)))
    drawn = [condensed(found.matrix[i], limits.cells) for i in chosen]
    scale = scale_of(np.stack(drawn))
    maps = tuple(_map(found, drawn[i], scale, f"point {i + 1}{_where(found, i)}", limits) for i in chosen)
    bar = scale.bar()
    if drawn[0].shape != found.matrix.shape[1:]:
        rows, columns = drawn[0].shape
        note = f"Aggregated to {rows} × {columns} cells: each shows the entry of the largest magnitude in it."
        bar = ColourBar(bar.ticks, f"{bar.note} {note}")
    alternative = (
        f"Heat maps of the Jacobian at {count(len(maps), 'point')}: {len(found.rows)} outputs downwards, "
        f"{len(found.columns)} inputs across"
    )
    return HeatMap(alternative, maps, bar)


def _where(found: Jacobians, point: int) -> str:
    x = found.x[point]
    return f": x = ({', '.join(short(float(v)) for v in x)})" if len(x) <= 3 else ""


def _map(found: Jacobians, matrix: Array, scale: Scale, title: str, limits: Limits) -> Map:
    shades = tuple(tuple(float(v) for v in row) for row in scale.shades(matrix))
    small = max(matrix.shape) <= limits.numbers
    texts = tuple(tuple(short(float(v)) for v in row) for row in matrix) if small else ()
    return Map(title, shades, texts, ends(found.rows, small), ends(found.columns, small))


def ends(labels: tuple[str, ...], small: bool) -> tuple[str, ...]:
    """All labels of a small map, the first and the last of a large one."""
    return labels if small or len(labels) < 2 else (labels[0], labels[-1])


def _entries(found: Jacobians, matrix: Array) -> Block:
    """The entries' ranges over the points; of many, those of the largest median magnitude."""
    low, middle, high = matrix.min(axis=0), np.median(matrix, axis=0), matrix.max(axis=0)
    order = np.argsort(-np.abs(middle), axis=None, kind="stable") if middle.size > _LISTED else np.arange(middle.size)
    rows = []
    for flat in order[:_LISTED]:
        i, j = np.unravel_index(flat, middle.shape)
        values = [short(float(v[i, j])) for v in (low, middle, high)]
        rows.append((f"∂{found.rows[i]} / ∂{found.columns[j]}", *values))
    which = "Entries" if middle.size <= _LISTED else f"The {_LISTED} largest of {middle.size:,} entries, by median"
    caption = f"{which}, over {count(len(matrix), 'point')}"
    return table(caption, ("entry", "smallest", "median", "largest"), rows, (1, 2, 3))


def _sparsity(found: Jacobians, matrix: Array, limits: Limits) -> list[Block]:
    """Where entries are exactly zero: at all points, so in all likelihood by the model's structure, or at some."""
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
        ends(found.rows, small),
        ends(found.columns, small),
    )
    bar = ColourBar(((0.0, "never"), (1.0, "everywhere")), "")
    return [Text(text), HeatMap("Heat map of the share of points at which each entry is not zero", (shown,), bar)]
