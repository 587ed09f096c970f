"""The colour scale of heat maps, and SVG pictures of a graph and of a spectrum.

The scale is centred on 0, and logarithmic where the numbers differ by much. Templates make the SVG, and escape texts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...templates import render_page
from ..page_parts import ColourBar, short
from .folding import Box, Folded
from .layout import Layout, place

Array = np.ndarray
# From this ratio of the largest magnitude to the 10th percentile on, the scale is logarithmic, over so many decades.
_WIDE = 100.0
_DECADES = 4
HEIGHT = 38.0  # of a box
# The width of a character in the pictures' font, about; a wider text is fitted to its box.
_CHARACTER, _ROW, _GAP, _MARGIN = 6.9, 68.0, 16.0, 12.0
_LONGEST = 30


@dataclass(frozen=True)
class Scale:
    """A scale from numbers to shades from -1 to 1.

    Attributes:
        largest: the number at ±1.
        linear: below this magnitude the scale is linear, above it logarithmic; None for a linear scale.
    """

    largest: float
    linear: float | None

    def shades(self, values: Array) -> Array:
        """Shades from -1 to 1; NaN where a number is not finite."""
        with np.errstate(invalid="ignore"):
            share = np.where(np.isfinite(values), values, np.nan) / (self.largest or 1.0)
            if self.linear is None:
                return np.clip(share, -1, 1)
            small = self.linear / self.largest
            return np.clip(np.sign(share) * np.log1p(np.abs(share) / small) / np.log1p(1 / small), -1, 1)

    def values(self, shades: Array) -> Array:
        """The numbers of shades, the inverse of :meth:`shades`."""
        if self.linear is None:
            return shades * self.largest
        return np.sign(shades) * self.linear * np.expm1(np.abs(shades) * np.log1p(self.largest / self.linear))

    @property
    def ticks(self) -> tuple[float, ...]:
        """Numbers at 0 and the ends, and at every second decade of a logarithmic scale."""
        steps: list[float] = []
        if self.linear is not None:
            steps = [self.linear * 100.0**k for k in range(1, _DECADES) if self.linear * 100.0**k < self.largest / 8]
        return tuple(sorted({-self.largest, 0.0, self.largest, *steps, *(-step for step in steps)}))

    def bar(self) -> ColourBar:
        """The ticks as a block of the page."""
        ticks = tuple((float(self.shades(np.array(v))), short(v)) for v in self.ticks)
        kind = "linear" if self.linear is None else f"logarithmic, linear below {short(self.linear)}"
        return ColourBar(ticks, f"The scale is {kind}, and centred on 0.")


def scale_of(values: Array) -> Scale:
    """The scale for some numbers."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if sizes.size == 0:
        return Scale(0.0, None)
    largest = float(sizes.max())
    if largest <= _WIDE * float(np.percentile(sizes, 10)):
        return Scale(largest, None)
    # A power of ten, so that the ticks are round numbers.
    smallest = max(float(np.percentile(sizes, 5)), largest / 10.0**_DECADES)
    return Scale(largest, float(10.0 ** np.floor(np.log10(smallest))))


def condensed(matrix: Array, cells: int) -> Array:
    """The matrix in at most ``cells`` rows and columns: each cell is the entry of the largest magnitude, or NaN."""
    return _condensed(_condensed(matrix, cells).T, cells).T


def _condensed(matrix: Array, cells: int) -> Array:
    if len(matrix) <= cells:
        return matrix
    blocks = np.array_split(matrix, cells)
    sizes = [np.where(np.isnan(block), np.inf, np.abs(block)) for block in blocks]
    return np.stack([b[s.argmax(axis=0), np.arange(b.shape[1])] for b, s in zip(blocks, sizes, strict=True)])


def graph_svg(folded: Folded, title: str, name: str) -> str:
    """The picture of a graph; its ids begin with ``name``, so that other pictures on the page have others."""
    layout = lay_out(folded)
    boxes = [
        {
            "x": x - box_width(box) / 2,
            "y": y - HEIGHT / 2,
            "width": box_width(box),
            "title": shortened(box.title),
            "subtitle": shortened(box.subtitle),
            "phase": box.phase,
            "several": box.size > 1,
            "tip": _tip(box),
        }
        for box, (x, y) in zip(folded.boxes, layout.places, strict=True)
    ]
    size = {"width": layout.width + 2 * _MARGIN, "height": layout.height + 2 * _MARGIN}
    lines = [_curve(points) for points in layout.paths]
    return render_page("graph.svg", {**size, "margin": _MARGIN, "box_height": HEIGHT, "boxes": boxes, "lines": lines,
                                "title": title, "name": name})  # fmt: skip


def lay_out(folded: Folded) -> Layout:
    """The places of a picture's boxes."""
    return place([box_width(box) for box in folded.boxes], folded.lines, row=_ROW, gap=_GAP)


def box_width(box: Box) -> float:
    """The width of a box for its two lines."""
    lines = max(len(shortened(box.title)), 0.86 * len(shortened(box.subtitle)))
    return max(56.0, lines * _CHARACTER + 20)


def shortened(text: str) -> str:
    """The text, without its middle where it is long."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-(_LONGEST // 2 - 1) :]}"


def _tip(box: Box) -> str:
    counts = ", ".join(f"{number} {kind}" for kind, number in box.counts.items())
    return f"{box.title}: {counts}" + (f"; {box.inside:,} ops in called functions" if box.inside else "")


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A curve from the lower edge of a box to the upper edge of another, vertical at its ends and stops."""
    down = points[-1][1] >= points[0][1]
    sign = 1 if down else -1
    path = [(points[0][0], points[0][1] + sign * HEIGHT / 2), *points[1:-1]]
    path.append((points[-1][0], points[-1][1] - sign * (HEIGHT / 2 + 5)))
    text = f"M{path[0][0]:.1f} {path[0][1]:.1f}"
    for (x0, y0), (x1, y1) in itertools.pairwise(path):
        middle = (y0 + y1) / 2
        text += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    return text


def spectrum_svg(low: Array, middle: Array, high: Array, title: str, name: str) -> str:
    """Singular values by their number: the median over the points as a line, their range as a band."""
    width, height, left, bottom = 620.0, 220.0, 64.0, 34.0
    positive = np.concatenate([low, middle, high])
    positive = positive[positive > 0]
    top = math.ceil(math.log10(positive.max()) + 1e-9)
    floor = math.floor(math.log10(max(positive.min(), positive.max() * 1e-18)))
    floor = min(floor, top - 1)

    def x(i: int) -> float:
        return left + (width - left - 16) * (i / max(1, len(middle) - 1))

    def y(value: float) -> float:
        power = max(floor, math.log10(value)) if value > 0 else floor
        return 12 + (height - bottom - 12) * (top - power) / (top - floor)

    band = [*((x(i), y(v)) for i, v in enumerate(high)), *((x(i), y(v)) for i, v in reversed(list(enumerate(low))))]
    step = max(1, (top - floor) // 5)
    context: dict[str, Any] = {
        "width": width, "height": height, "left": left, "bottom": height - bottom, "title": title, "name": name,
        "band": " ".join(f"{a:.1f},{b:.1f}" for a, b in band),
        "line": " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(middle)),
        "dots": [(x(i), y(v), short(float(v))) for i, v in enumerate(middle)] if len(middle) <= 24 else [],
        "powers": [(y(10.0**p), p) for p in range(floor, top + 1, step)],
        "numbers": [(x(i), i + 1) for i in sorted({0, (len(middle) - 1) // 2, len(middle) - 1})],
    }  # fmt: skip
    return render_page("spectrum.svg", context)
