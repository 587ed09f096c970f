"""What a section of the page consists of: plain records, which the templates draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Verdict = Literal["good", "attention", "bad"]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Code:
    """Lines as they are."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Problem:
    """Why something is not shown, or what is wrong: a sentence, then facts by name."""

    kind: ClassVar[str] = "problem"
    text: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    kind: ClassVar[str] = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        share: of a bar in the cell's background, 0 to 1.
        verdict: what its text says of the model.
    """

    text: str
    share: float | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Table:
    """A table whose first column has the rows' headers.

    Attributes:
        numeric: the columns, from 0 on, whose cells are aligned to the right.
        marked: the rows to emphasize.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class HeatMap:
    """Maps of one colour scale.

    Attributes:
        alternative: what the pictures show, in words.
        maps: each with a title.
        scale: what the colours mean.
    """

    kind: ClassVar[str] = "heatmap"
    alternative: str
    maps: tuple[Map, ...]
    scale: ColourBar


@dataclass(frozen=True)
class Map:
    """A matrix as colours.

    Attributes:
        title: above it.
        shades: for each row and column, -1 to 1; NaN where the number is not finite.
        texts: the numbers; where there is none, the map is too large for numbers.
        rows, columns: their labels; of large maps, the ends alone.
        aspect: height of a cell for its width.
    """

    title: str
    shades: tuple[tuple[float, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ColourBar:
    """Ticks of a colour scale, each a position from -1 to 1 and a text, and a note."""

    ticks: tuple[tuple[float, str], ...]
    note: str


@dataclass(frozen=True)
class Picture:
    """An SVG that can be zoomed.

    Attributes:
        svg: made here, of escaped texts.
        alternative: what it shows, in words.
    """

    kind: ClassVar[str] = "picture"
    svg: str
    alternative: str
    caption: str
    zoom: bool = False


@dataclass(frozen=True)
class Details:
    """Blocks behind a line that opens them; open in print."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: tuple[Block, ...]


Block = Text | Code | Problem | Facts | Table | HeatMap | Picture | Details


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: its anchor.
        verdict: what it says of the model, for the head of the page, with ``summary``.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    summary: str = ""
    verdict: Verdict | None = None
    failed: bool = field(default=False)


def cells(texts: Sequence[str | Cell]) -> tuple[Cell, ...]:
    """A row of a table."""
    return tuple(text if isinstance(text, Cell) else Cell(text) for text in texts)


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    numeric: Sequence[int] = (),
    marked: Sequence[int] = (),
) -> Table:
    """A table from texts."""
    return Table(caption, tuple(columns), tuple(cells(row) for row in rows), frozenset(numeric), frozenset(marked))
