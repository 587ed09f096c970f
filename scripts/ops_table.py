"""Writes ``docs/ops.md``: every op of TensorFlow that takes and gives real or complex numbers, and its gradient.

``python scripts/ops_table.py`` writes it, ``--check`` only says whether it is current; ``--take FILE`` makes what the
sweep of the table of conformance wrote the results that the page tells.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from conformance_results import read, take, verified
from op_orders import measured_orders
from op_reasons import BY_NATURE, NONE

import tfgradkit as tgk
from tfgradkit.op_gradients.refused_gradients import SILENT_OPS
from tfgradkit.op_gradients.registry import ABSENT, SHIPPED, carries, definition, entry, names

PAGE = Path(__file__).resolve().parent.parent / "docs" / "ops.md"
UNMEASURED = "first order; further ones not measured"
HEAD = """\
# Every op and its gradient

All {count} ops of TensorFlow {version} that take and give real or complex numbers (`tf.raw_ops`), and what
their gradient is. Made by `scripts/ops_table.py`; a test compares. The rules themselves are in
[rules.md](rules.md). What is listed under "none" is an error that names the op, never a missing part of an
answer; `tgk.register_gradient` gives it a rule of yours. Not here: ops of handles (lists of tensors, variables, CSR
matrices), whose gradients are TensorFlow's.

| gradient | ops |
|---|---|
{summary}
"""


@dataclass(frozen=True)
class Row:
    """An op, who has its gradient, and what is to be known about that."""

    op: str
    state: str
    note: str


STATES = {
    "ours": "by tfgradkit",
    "tensorflow": "by TensorFlow",
    "none": "none",
    "nature": "not differentiable by nature",
}


def rows(orders: dict[str, str]) -> Iterator[Row]:
    """All of them, by name; ``orders`` are those of TensorFlow's own.

    Raises:
        SystemExit: an op that nobody has judged.
    """
    for op in names():
        if not carries(op):
            continue
        if op in SHIPPED:
            yield Row(op, "ours", _ours(op))
        elif (why := _reason(op, BY_NATURE)) is not None:
            yield Row(op, "nature", why)
        elif callable(entry(op)):
            yield Row(op, "tensorflow", orders.get(op, UNMEASURED))
        else:
            yield Row(op, "none", _none(op))


def _ours(op: str) -> str:
    shipped = SHIPPED[op]
    before = "" if shipped.replaces is ABSENT else ", in place of TensorFlow's"
    before = ", where TensorFlow says not differentiable" if shipped.replaces is None else before
    return f"{'every order, tested to the second' if shipped.order is None else f'order {shipped.order}'}{before}"


def _none(op: str) -> str:
    why = _reason(op, NONE)
    if definition(op).deprecation.version:
        why = "TensorFlow no longer runs it"
    if why is None:
        raise SystemExit(f"scripts/op_reasons.py does not say why {op} has no gradient")
    silent = "; TensorFlow passes over it in silence" if entry(op) is None else ""
    return why + silent + ("; here an error" if silent and op in SILENT_OPS else "")


def _reason(op: str, table: dict[str, str]) -> str | None:
    return next((why for why, pattern in table.items() if re.fullmatch(f"(?:{pattern})", op, re.VERBOSE)), None)


def page(orders: dict[str, str]) -> str:
    """The text of the page."""
    import tensorflow as tf

    found = list(rows(orders))
    counts = {state: sum(row.state == state for row in found) for state in STATES}
    summary = "\n".join(f"| {title} | {counts[state]} |" for state, title in STATES.items())
    text = HEAD.format(count=len(found), version=tf.__version__, summary=summary)
    for state, title in STATES.items():
        text += f"\n## {title[0].upper()}{title[1:]}\n\n" + _table([row for row in found if row.state == state])
    return text + verified(read())


def recorded_orders(text: str) -> dict[str, str]:
    """Those of TensorFlow's own that a page tells."""
    section = text.split("## By TensorFlow")[1].split("\n## ")[0]
    lines = re.findall(r"^\| (`.*) \| (.*) \|$", section, re.MULTILINE)
    return {op: note for ops, note in lines for op in re.findall(r"`(\w+)`", ops) if note != UNMEASURED}


def _table(found: list[Row]) -> str:
    """Ops with the same note share a line."""
    notes: dict[str, list[str]] = {}
    for row in found:
        notes.setdefault(row.note, []).append(f"`{row.op}`")
    lines = [f"| {', '.join(ops)} | {note} |" for note, ops in sorted(notes.items(), key=lambda item: -len(item[1]))]
    return "| op | |\n|---|---|\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Writes the page, or compares."""
    if "--take" in sys.argv:
        take(Path(sys.argv[-1]))
    tgk.registered_gradients()  # loads the rules
    text = page(measured_orders())
    if "--check" not in sys.argv:
        PAGE.write_text(text)
        print(f"{PAGE}: written")
    elif PAGE.read_text() != text:
        raise SystemExit(f"{PAGE} is not current: run scripts/ops_table.py")


if __name__ == "__main__":
    main()
