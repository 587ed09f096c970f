"""Numbers as the page writes them.

What a section of the page consists of: plain records, which the templates draw.

An exception as a block of the page: what happened, and what to try.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ..errors import TfGradKitError


def short(value: float, digits: int = 3) -> str:
    """A few digits: 0.0123, 12.3, 1.23e+06; "0" for nothing."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    text = f"{value:.{digits - 1}e}" if not -3 <= size < 4 else f"{value:.{max(0, digits - 1 - size)}f}"
    return text.replace("-", "−")


def count(value: int, noun: str = "", plural: str = "") -> str:
    """``1,234 points``, ``1 point``."""
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def amount(size: float) -> str:
    """Bytes: 512 B, 1.5 kB, 20 MB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def span(low: float, middle: float, high: float) -> str:
    """A median with the range around it."""
    return f"{short(middle)} ({short(low)} to {short(high)})"


Verdict = Literal["good", "attention", "bad"]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class CodeText:
    """Lines as they are."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class FailureNote:
    """Why something is not shown, or what is wrong: a sentence, then facts by name."""

    kind: ClassVar[str] = "problem"
    text: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FactList:
    """Names and values."""

    kind: ClassVar[str] = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableCell:
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
    rows: tuple[tuple[TableCell, ...], ...]
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
    blocks: tuple[PageBlock, ...]


PageBlock = Text | CodeText | FailureNote | FactList | Table | HeatMap | Picture | Details


@dataclass(frozen=True)
class PageSection:
    """A part of the page.

    Attributes:
        name: its anchor.
        verdict: what it says of the model, for the head of the page, with ``summary``.
    """

    name: str
    title: str
    blocks: tuple[PageBlock, ...]
    summary: str = ""
    verdict: Verdict | None = None
    failed: bool = field(default=False)


def cells(texts: Sequence[str | TableCell]) -> tuple[TableCell, ...]:
    """A row of a table."""
    return tuple(text if isinstance(text, TableCell) else TableCell(text) for text in texts)


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | TableCell]],
    numeric: Sequence[int] = (),
    marked: Sequence[int] = (),
) -> Table:
    """A table from texts."""
    return Table(caption, tuple(columns), tuple(cells(row) for row in rows), frozenset(numeric), frozenset(marked))


_LONGEST = 400
_COLOURS = re.compile("\x1b\\[[0-9;]*m")  # Keras writes for terminals
# Lines that say nothing of the failure itself.
_HEADS = ("Detected at node", "Exception encountered")


def problem(what: str, error: Exception) -> FailureNote:
    """Why something failed. Ours say it in parts; of others the first line that says something."""
    if not isinstance(error, TfGradKitError):
        return FailureNote(f"{what}.", (("because", f"{type(error).__name__}: {first_line(error)}"),))
    subject = "" if error.subject is None else f": {error.subject}"
    facts = (("expected", error.expected), ("got", error.got), ("try", error.hint))
    told = tuple((name, _clipped(str(fact))) for name, fact in facts if fact is not None)
    return FailureNote(f"{what}.", (("because", _clipped(f"{error.what}{subject}")), *told))


def first_line(error: Exception) -> str:
    """The first line of a message that says something."""
    text = error.what if isinstance(error, TfGradKitError) else _COLOURS.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("in user code"):  # AutoGraph: the way to the line, then what it raised
        return _clipped(lines[-1])
    told = [line for line in lines if not line.startswith(_HEADS)]
    return _clipped((told or lines or [type(error).__name__])[0])


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
