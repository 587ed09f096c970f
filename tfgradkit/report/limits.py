"""How much of a large model a report looks at; each limit that is met is stated in the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a report.

    Attributes:
        points: sample points.
        entries: numbers of all Jacobians together.
        factored: multiplications of a singular value decomposition of all Jacobians, about.
        cells: rows and columns of a heat map; larger ones are aggregated.
        numbers: rows and columns of a heat map with numbers in its cells.
        maps: points whose Jacobian is drawn.
        nodes: of a picture of a graph; larger ones are folded.
        unknown: what an axis of unknown size is taken as.
        seconds: spent on measuring the strategies.
        bytes: of intermediate results in a call that is measured, about.
    """

    points: int = 64
    entries: int = 4_000_000
    factored: int = 200_000_000
    cells: int = 48
    numbers: int = 8
    maps: int = 4
    nodes: int = 48
    unknown: int = 16
    seconds: float = 20.0
    bytes: int = 256_000_000
