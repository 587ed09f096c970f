"""Whether a gradient reaches every input and every parameter, and what cuts it where it doesn't: ``explain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...diagnose.connections.explain import explain
from ..blocks import Block, Cell, Code, Section, Text, Verdict, table
from ..context import Context
from ..numbers import count

_LISTED = 24
_VERDICTS: dict[str, Verdict] = {"connected": "good", "zero": "attention", "none": "attention", "error": "bad"}


def section(context: Context) -> Section:
    """Connections of outputs with inputs and parameters; what reaches no output with its place and remedy."""
    arguments = context.points.first(2)
    found = list(explain(context.fn, *arguments))
    if len(context.source.trainable()):
        found += explain(context.fn, *arguments, wrt="parameters")
    cut = [connection for connection in found if connection.status != "connected"]
    lost = lost_from(found)
    blocks: list[Block] = [Text(_told(found, cut))]
    if cut or len(found) <= _LISTED:
        blocks.append(_pairs(found if len(found) <= _LISTED else cut))
    blocks += [Code(str(connection)) for connection in lost[:_LISTED]]
    if len(lost) > _LISTED:
        blocks.append(Text(f"{count(len(lost) - _LISTED, 'more finding')}: tgk.explain lists all."))
    names = {connection.input for connection in lost}
    summary = f"no gradient by {_listed(sorted(names))}" if lost else "every input and parameter reaches an output"
    return Section("explain", "Connections", tuple(blocks), summary, _worst(lost))


def lost_from(found: Sequence[Any]) -> list[Any]:
    """The connections of what reaches no output at all, and those where TensorFlow would raise.

    That an output doesn't depend on each of the inputs is ordinary.
    """
    reaching = {connection.input for connection in found if connection.status == "connected"}
    return [c for c in found if c.status == "error" or (c.status != "connected" and c.input not in reaching)]


def _told(found: Sequence[Any], cut: Sequence[Any]) -> str:
    pairs = count(len(found), "pair")
    if not cut:
        return f"At the first points each of {pairs} of an output and an input or parameter is connected."
    return f"At the first points {len(cut):,} of {pairs} of an output and an input or parameter are not connected."


def _pairs(connections: Sequence[Any]) -> Block:
    rows = [
        (c.output, c.input, Cell(c.status, verdict=_VERDICTS[c.status]), c.cause or "", c.where or "")
        for c in connections[:_LISTED]
    ]
    left = len(connections) - len(rows)
    caption = "Outputs by inputs and parameters" + (f"; {left:,} more are not listed" if left else "")
    return table(caption, ("output", "by", "gradient", "cause", "where"), rows)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _worst(lost: Sequence[Any]) -> Verdict:
    verdicts = {_VERDICTS[connection.status] for connection in lost}
    order: tuple[Verdict, ...] = ("bad", "attention")
    return next((verdict for verdict in order if verdict in verdicts), "good")
