"""What was seen of the table's entries, as lines of JSON: written by whoever runs it, read by the page of ops."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .properties import Verdict

# Read as the page's, and written by ``scripts/ops_table.py --take``.
RECORDED = Path(__file__).resolve().parents[3] / "docs" / "conformance.jsonl"
_LONGEST = 200


@dataclass(frozen=True)
class Seen:
    """What was seen of an entry.

    Attributes:
        entry: its name.
        ops: the types of the ops of its graph.
        states: by property the state, and what was said.
    """

    entry: str
    ops: tuple[str, ...]
    states: Mapping[str, tuple[str, str]]

    @property
    def family(self) -> str:
        """The family of the entry."""
        return self.entry.partition(": ")[0]

    @property
    def function(self) -> str:
        """What the entry is of: its name up to the first comma, without what is said of the arguments."""
        return self.entry.partition(": ")[2].partition(",")[0]


def seen(entry: str, ops: Iterable[str], verdicts: Mapping[str, Verdict]) -> Seen:
    """The record of an entry."""
    states = {name: (verdict.state, _gist(verdict.note)) for name, verdict in verdicts.items()}
    return Seen(entry, tuple(sorted(ops)), states)


def _gist(note: str) -> str:
    """The first line of an error, and what it got."""
    lines = [line.strip() for line in note.splitlines()]
    got = next((line for line in lines if line.startswith("got: ")), "")
    return " ".join(filter(None, (lines[0] if lines else "", got)))[:_LONGEST]


def append(path: Path, record: Seen) -> None:
    """Adds a record to a file of them; several processes may."""
    line: dict[str, Any] = {"entry": record.entry, "ops": record.ops, "states": record.states}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(path: Path = RECORDED) -> Iterator[Seen]:
    """The records of a file; of several of one entry the last."""
    found: dict[str, Seen] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        states = {name: (state, note) for name, (state, note) in one["states"].items()}
        found[one["entry"]] = Seen(one["entry"], tuple(one["ops"]), states)
    return iter(found.values())


def write(path: Path, records: Iterable[Seen]) -> None:
    """Writes records, sorted by name, in place of a file."""
    path.write_text("", encoding="utf-8")
    for record in sorted(records, key=lambda record: record.entry):
        append(path, record)
