"""Whether a gradient reaches every input and every parameter, and what cuts it where it doesn't: ``explain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..blocks import Block, Cell, Code, Section, Text, Verdict, table
from ..context import Context
from ..numbers import count

_LISTED = 24
_VERDICTS: dict[str, Verdict] = {"connected": "good", "zero": "attention", "none": "attention", "error": "bad"}


def section(context: Context) -> Section:
    """Connections of outputs with inputs and parameters; each finding with its place and remedy."""
    from ...diagnose.connections.explain import explain

    arguments = context.points.first(2)
    found = list(explain(context.fn, *arguments))
    if len(context.source.trainable()):
        found += explain(context.fn, *arguments, wrt="parameters")
    findings = [connection for connection in found if connection.status != "connected"]
    blocks: list[Block] = [
        Text(f"{len(found) - len(findings):,} of {count(len(found), 'pair')} of an output and an input or parameter "
             "are connected, at the first points."),
        *([] if len(found) > _LISTED and not findings else [_pairs(findings if len(found) > _LISTED else found)]),
        *(Code(str(connection)) for connection in findings[:_LISTED]),
    ]  # fmt: skip
    if len(findings) > _LISTED:
        blocks.append(Text(f"{count(len(findings) - _LISTED, 'more finding')}: tgk.explain lists all."))
    verdict = _worst([connection.status for connection in findings])
    summary = "all connected" if not findings else f"{count(len(findings), 'pair')} not connected"
    return Section("explain", "Connections", tuple(blocks), summary, verdict)


def _pairs(connections: Sequence[Any]) -> Block:
    rows = [
        (c.output, c.input, Cell(c.status, verdict=_VERDICTS[c.status]), c.cause or "", c.where or "")
        for c in connections[:_LISTED]
    ]
    return table("Outputs by inputs and parameters", ("output", "by", "gradient", "cause", "where"), rows)


def _worst(statuses: Sequence[str]) -> Verdict:
    verdicts = {_VERDICTS[status] for status in statuses}
    order: tuple[Verdict, ...] = ("bad", "attention")
    return next((verdict for verdict in order if verdict in verdicts), "good")
