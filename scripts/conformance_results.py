"""What was seen of the table of conformance, entry by entry: written by the sweep, read by the page of ops.

Each line of a file is one entry in JSON. The entries themselves are in ``tests/helpers/conformance``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).resolve().parent.parent / "docs" / "conformance.jsonl"
_LONGEST = 160


@dataclass(frozen=True)
class Seen:
    """What was seen of an entry.

    Attributes:
        entry: its name: the family, the function, and what is special about the arguments.
        ops: the types of the ops of its graph.
        states: by property the state, and for one that isn't "right" the reason.
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
        """What the entry is of, without what is said of its arguments."""
        return self.entry.partition(": ")[2].partition(",")[0]


def seen(entry: str, ops: Iterable[str], states: Mapping[str, tuple[str, str]], reasons: Mapping[str, Any]) -> Seen:
    """A record, with the reasons that are known in place of what was printed."""
    told = {
        name: (state, reasons[name][1] if reasons.get(name, ("",))[0] == state else reason(note))
        for name, (state, note) in states.items()
    }
    return Seen(entry, tuple(sorted(ops)), told)


def reason(note: str) -> str:
    """Of an error of tfgradkit what it is about and what it got, in a line, without the function and the place."""
    lines = [line.strip() for line in note.splitlines()]
    if not lines:
        return ""
    what = re.sub(r"^\w+Error: ", "", lines[0]).partition(": ")[0]
    got = next((line.removeprefix("got: ") for line in lines if line.startswith("got: ")), "")
    if what == "XLA can't compile the derivative":
        return f"XLA has no kernel for {got}"
    # The vectorized loop lists all its inputs before it comes to the point.
    if "WrappedTensor" in got:
        got = ""
    return f"{what}: {got}"[:_LONGEST].rstrip(": ")


def append(path: Path, record: Seen) -> None:
    """Adds a record to a file of them; several processes may."""
    line = {"entry": record.entry, "ops": record.ops, "states": record.states}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(path: Path = RECORDED) -> list[Seen]:
    """The records of a file, by name; of several of one entry the last."""
    found: dict[str, Seen] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        states = {name: (state, note) for name, (state, note) in one["states"].items()}
        found[one["entry"]] = Seen(one["entry"], tuple(one["ops"]), states)
    return [found[name] for name in sorted(found)]


def take(path: Path) -> None:
    """Makes what a sweep wrote the recorded results; entries that it did not run stay as they were."""
    kept = {record.entry: record for record in (read() if RECORDED.exists() else [])}
    kept |= {record.entry: record for record in read(path)}
    RECORDED.write_text("", encoding="utf-8")
    for name in sorted(kept):
        append(RECORDED, kept[name])


# From the one to be told first.
STATES = {"wrong": "wrong", "raw": "raw exception", "nan": "NaN", "refused": "refused", "right": "✓", "–": "–"}
PROPERTIES = {
    "first": "first",
    "second": "second",
    "third": "third",
    "forward": "forward",
    "vectorized": "vectorized",
    "compiled": "XLA",
    "float32": "float32",
    "laplacian": "Laplacian",
    "sparse": "sparse",
    "batch": "batch",
    "tile": "tile",
}
HEAD = """\

## Verified, function by function

{entries} entries of {functions} functions, which run {ops} of the ops above, at generic points and at special ones:
zeros, ties, equal values, ends of domains. First, second and (of the elementary ones) third derivatives are compared
with differences in float64 with error bars; forward mode, the vectorized loop, XLA, float32, sparse patterns, batches
and repeated batches with the plain reverse mode, and Laplacians with the trace of the Hessian. Made from the last run
of `scripts/sweep`. "✓" is right; "refused" is an error that says why; "NaN" stands where there is no derivative, and
is the same from every operator; "–" has no meaning there. What is refused, and why, is listed below.
"""


def verified(records: Iterable[Seen]) -> str:
    """The part of the page of ops that is made from the results."""
    records = list(records)
    functions = {(record.family, record.function) for record in records}
    ops = {op for record in records for op in record.ops}
    text = HEAD.format(entries=len(records), functions=len(functions), ops=len(ops))
    for family in sorted({record.family for record in records}):
        text += f"\n### {family.capitalize()}\n\n" + _family([r for r in records if r.family == family])
    return text + "\n## Refused, or not a number, and why\n\n" + "\n".join(_reasons(records)) + "\n"


def _family(records: list[Seen]) -> str:
    by_function: dict[str, list[Seen]] = {}
    for record in records:
        by_function.setdefault(record.function, []).append(record)
    titles = ["function", "entries", *PROPERTIES.values()]
    rows = [
        [f"`{function}`", str(len(of_it)), *(_cell(of_it, name) for name in PROPERTIES)]
        for function, of_it in by_function.items()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, ["---"] * len(titles), *rows]) + "\n"


def _cell(records: list[Seen], name: str) -> str:
    """The states of a property; of several with how many entries have each."""
    states = [record.states[name][0] for record in records if name in record.states]
    counts = {state: states.count(state) for state in STATES if state in states and state != "–"}
    if len(counts) < 2:
        return STATES[next(iter(counts), "–")]
    return ", ".join(f"{STATES[state]} {count}" for state, count in counts.items())


def _reasons(records: list[Seen]) -> Iterator[str]:
    """A line for each reason: the properties, and the functions."""
    found: dict[str, dict[str, set[str]]] = {}
    for record in records:
        for name, (state, why) in record.states.items():
            if state not in ("right", "–") and name in PROPERTIES:
                places = found.setdefault(f"{STATES[state]}: {why}", {})
                places.setdefault(PROPERTIES[name], set()).add(f"`{record.function}`")
    yield from ("| | where | functions |", "|---|---|---|")
    for why, places in sorted(found.items()):
        functions = sorted(set().union(*places.values()))
        yield f"| {why.replace('|', chr(92) + '|')} | {', '.join(places)} | {', '.join(functions)} |"
