"""The parts of the page: numbers as texts, the blocks of a section as plain records, an exception as a block.

The templates draw the records.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ..errors import TfGradKitError

_LONGEST = 400
_COLOURS = re.compile("\x1b\\[[0-9;]*m")  # in Keras' messages, for terminals
# Lines in front of the failure itself.
_HEADS = ("Detected at node", "Exception encountered")


def short(value: float, digits: int = 3) -> str:
    """A number with a few digits: 0.0123, 12.3, 1.23e+06; "0" for zero."""
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
    """A number of things: ``1,234 points``, ``1 point``."""
    if not noun:
        return f"{value:,}"
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def amount(size: float) -> str:
    """A number of bytes: 512 B, 1.5 kB, 20 MB."""
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
    """Lines of fixed-width text."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class FailureNote:
    """A failure, or the reason why a block is missing: a sentence, then facts by name."""

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
        share: the length of a bar in the cell's background, 0 to 1.
        verdict: whether its text is good or bad news of the model.
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
        alternative: the maps in words.
        maps: each with a title.
        scale: the meaning of the colours.
    """

    kind: ClassVar[str] = "heatmap"
    alternative: str
    maps: tuple[Map, ...]
    scale: ColourBar


@dataclass(frozen=True)
class Map:
    """A matrix as colours.

    Attributes:
        title: the line above the map.
        shades: for each row and column, -1 to 1; NaN where the number is not finite.
        texts: the numbers; empty where the map is too large for numbers.
        rows, columns: their labels; of a large map only the first and the last.
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
        svg: the picture, with escaped texts.
        alternative: the picture in words.
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
        summary: its result in a few words, for the head of the page.
        verdict: whether the result is good or bad news of the model.
        failed: whether the section has an error in place of its contents.
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


def problem(what: str, error: Exception) -> FailureNote:
    """A failure with its reason: the parts of an error of ours, or the first useful line of another exception."""
    if not isinstance(error, TfGradKitError):
        return FailureNote(f"{what}.", (("because", f"{type(error).__name__}: {first_line(error)}"),))
    subject = "" if error.subject is None else f": {error.subject}"
    facts = (("expected", error.expected), ("got", error.got), ("try", error.hint))
    known = tuple((name, _clipped(str(fact))) for name, fact in facts if fact is not None)
    return FailureNote(f"{what}.", (("because", _clipped(f"{error.what}{subject}")), *known))


def first_line(error: Exception) -> str:
    """The first line of an error's message that has a reason in it."""
    text = error.what if isinstance(error, TfGradKitError) else _COLOURS.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("in user code"):  # AutoGraph: a stack trace, then the error
        return _clipped(lines[-1])
    reasons = [line for line in lines if not line.startswith(_HEADS)]
    return _clipped((reasons or lines or [type(error).__name__])[0])


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
