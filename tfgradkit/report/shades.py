"""From numbers to the shades of a heat map: one scale, centred on 0, logarithmic where the numbers differ much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .blocks import ColourBar
from .numbers import short

Array = np.ndarray
# The largest magnitude by that of the tenth percent from which the scale is logarithmic, and its decades.
_WIDE = 100.0
_DECADES = 4


@dataclass(frozen=True)
class Scale:
    """What a shade of ±1 stands for.

    Attributes:
        largest: the number at ±1.
        linear: below this magnitude the scale is linear, above it logarithmic; None where it is linear throughout.
    """

    largest: float
    linear: float | None

    def shades(self, values: Array) -> Array:
        """-1 to 1; NaN where a number is not finite."""
        with np.errstate(invalid="ignore"):
            share = np.where(np.isfinite(values), values, np.nan) / (self.largest or 1.0)
            if self.linear is None:
                return np.clip(share, -1, 1)
            small = self.linear / self.largest
            return np.clip(np.sign(share) * np.log1p(np.abs(share) / small) / np.log1p(1 / small), -1, 1)

    def values(self, shades: Array) -> Array:
        """The numbers that shades stand for."""
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
        """The ticks in the page."""
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
    # A power of ten, so that ticks are round.
    smallest = max(float(np.percentile(sizes, 5)), largest / 10.0**_DECADES)
    return Scale(largest, float(10.0 ** np.floor(np.log10(smallest))))


def condensed(matrix: Array, cells: int) -> Array:
    """At most ``cells`` rows and columns: of each block its entry of the largest magnitude, with its sign; NaN wins."""
    return _condensed(_condensed(matrix, cells).T, cells).T


def _condensed(matrix: Array, cells: int) -> Array:
    if len(matrix) <= cells:
        return matrix
    blocks = np.array_split(matrix, cells)
    sizes = [np.where(np.isnan(block), np.inf, np.abs(block)) for block in blocks]
    return np.stack([b[s.argmax(axis=0), np.arange(b.shape[1])] for b, s in zip(blocks, sizes, strict=True)])
