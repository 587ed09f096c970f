"""What stands in the way of derivatives, in TensorFlow, in XLA and in the C library: ``audit``."""

from __future__ import annotations

from typing import Literal

from ...diagnose.audit import audit
from ..blocks import Block, Cell, Code, Section, Text, Verdict, table
from ..context import Context
from ..numbers import count

# First derivatives wherever they may run, and second ones in TensorFlow.
_ASKED: tuple[tuple[int, Literal["eager", "xla", "native"]], ...] = (
    (1, "eager"),
    (1, "xla"),
    (1, "native"),
    (2, "eager"),
)
_NAMES = {"eager": "TensorFlow", "xla": "XLA", "native": "C library"}
_LISTED = 24


def section(context: Context) -> Section:
    """An answer for each order and target, and the ops with their places and what to use instead."""
    batched = context.source.batched
    audits = [
        audit(context.source, *context.specs, order=order, target=target, batched=batched) for order, target in _ASKED
    ]
    rows = []
    for found in audits:
        failing = sum(obstacle.fails for obstacle in found)
        slower = len(found) - failing
        answer = Cell("yes", verdict="good") if found.ok else Cell("no", verdict="attention")
        rows.append((f"order {found.order}", _NAMES[found.target], answer, str(failing), str(slower)))
    told = dict.fromkeys(str(obstacle) for found in audits for obstacle in found)
    blocks: list[Block] = [
        table("What can be had", ("derivatives", "in", "can be had", "ops that fail", "notes"), rows, (3, 4)),
        *(Code(text) for text in list(told)[:_LISTED]),
        *([Text(f"{count(len(told) - _LISTED, 'more')}: tgk.audit lists all.")] if len(told) > _LISTED else []),
        *(Text(f"Note: {found.incomplete}.") for found in audits if found.incomplete),
    ]
    refused = [f"{_NAMES[a.target]}, order {a.order}" for a in audits if not a.ok]
    summary = f"ops stand in the way of {'; '.join(refused)}" if refused else "nothing stands in the way"
    verdict: Verdict = "good" if not refused else "bad" if not audits[0].ok else "attention"
    return Section("audit", "Audit", tuple(blocks), summary, verdict)
