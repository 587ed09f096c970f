"""What stands in the way of derivatives, in TensorFlow, in XLA and in the C library: ``audit``.

The derivatives against differences and against each other: ``check_gradients``.

Whether a gradient reaches every input and every parameter, and what cuts it where it doesn't: ``explain``.

Whether the samples of a batch are independent: ``check_batch_independence``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ...diagnose.audit.audit import audit
from ...diagnose.check.check_batch_independence import check_batch_independence
from ...diagnose.check.check_gradients import check_gradients
from ...diagnose.check.gradient_check import CheckStatus, GradientCheck
from ...diagnose.explain.explain import explain
from ..context import Context
from ..jacobians import floating_arguments
from ..page_parts import CodeText, PageBlock, PageSection, TableCell, Text, Verdict, count, short, table

# First derivatives wherever they may run, and second ones in TensorFlow.
_ASKED: tuple[tuple[int, Literal["eager", "xla", "native"]], ...] = (
    (1, "eager"),
    (1, "xla"),
    (1, "native"),
    (2, "eager"),
)
_NAMES = {"eager": "TensorFlow", "xla": "XLA", "native": "C library"}
_LISTED = 24


def audit_section(context: Context) -> PageSection:
    """An answer for each order and target, and the ops with their places and what to use instead."""
    batched = context.source.batched
    audits = [
        audit(context.source, *context.specs, order=order, target=target, batched=batched) for order, target in _ASKED
    ]
    rows = []
    for found in audits:
        failing = sum(obstacle.fails for obstacle in found)
        slower = len(found) - failing
        answer = TableCell("yes", verdict="good") if found.ok else TableCell("no", verdict="attention")
        rows.append((f"order {found.order}", _NAMES[found.target], answer, str(failing), str(slower)))
    told = dict.fromkeys(str(obstacle) for found in audits for obstacle in found)
    blocks: list[PageBlock] = [
        table("What can be had", ("derivatives", "in", "can be had", "ops that fail", "notes"), rows, (3, 4)),
        *(CodeText(text) for text in list(told)[:_LISTED]),
        *([Text(f"{count(len(told) - _LISTED, 'more')}: tgk.audit lists all.")] if len(told) > _LISTED else []),
        *(Text(f"Note: {found.incomplete}.") for found in audits if found.incomplete),
    ]
    refused = [f"{_NAMES[a.target]}, order {a.order}" for a in audits if not a.ok]
    summary = f"ops stand in the way of {'; '.join(refused)}" if refused else "nothing stands in the way"
    verdict: Verdict = "good" if not refused else "bad" if not audits[0].ok else "attention"
    return PageSection("audit", "Audit", tuple(blocks), summary, verdict)


_CHECK_VERDICTS: dict[CheckStatus, Verdict] = {
    "right": "good",
    "wrong": "bad",
    "kink": "attention",
    "noise": "attention",
}
# The digits that fill a bar.
_ALL = 16


def check_section(context: Context) -> PageSection:
    """First derivatives, and second ones where the model has any."""
    arguments, picked = context.points.first(1), floating_arguments(context.points)
    keywords: dict[str, Any] = {"argnums": picked, "batched": context.source.batched}
    check = check_gradients(context.source, *arguments, order=1, **keywords)
    blocks: list[PageBlock] = [
        Text(
            f"In random directions, in {check.dtype}, at the first point: extrapolated differences of the values, "
            "and the identity ⟨u, Jv⟩ = ⟨v, Jᵀu⟩ between forward and reverse mode."
        ),
        *([Text(f"Note: {check.note}.")] if check.note else []),
        _findings(check),
    ]
    summary = f"{check.digits:.1f} digits agree" if check.ok else f"{check.status}, {check.digits:.1f} digits"
    return PageSection("check", "Gradient check", tuple(blocks), summary, _CHECK_VERDICTS[check.status])


def _findings(check: GradientCheck) -> PageBlock:
    rows = [
        (
            finding.method,
            finding.place,
            short(finding.error, 2),
            TableCell(f"{finding.digits:.1f}", min(1.0, finding.digits / _ALL)),
            TableCell(finding.status, verdict=_CHECK_VERDICTS[finding.status]),
        )
        for finding in check.findings
    ]
    return table("Comparisons", ("compared", "of", "relative error", "digits", "result"), rows, (2, 3))


_CONNECTION_VERDICTS: dict[str, Verdict] = {
    "connected": "good",
    "zero": "attention",
    "none": "attention",
    "error": "bad",
}


def explain_section(context: Context) -> PageSection:
    """Connections of outputs with inputs and parameters; what reaches no output with its place and remedy."""
    arguments = context.points.first(2)
    found = list(explain(context.fn, *arguments))
    if len(context.source.trainable()):
        found += explain(context.fn, *arguments, wrt="parameters")
    cut = [connection for connection in found if connection.status != "connected"]
    lost = lost_from(found)
    blocks: list[PageBlock] = [Text(_told(found, cut))]
    if cut or len(found) <= _LISTED:
        blocks.append(_pairs(found if len(found) <= _LISTED else cut))
    blocks += [CodeText(str(connection)) for connection in lost[:_LISTED]]
    if len(lost) > _LISTED:
        blocks.append(Text(f"{count(len(lost) - _LISTED, 'more finding')}: tgk.explain lists all."))
    names = {connection.input for connection in lost}
    summary = f"no gradient by {_listed(sorted(names))}" if lost else "every input and parameter reaches an output"
    return PageSection("explain", "Connections", tuple(blocks), summary, _worst(lost))


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


def _pairs(connections: Sequence[Any]) -> PageBlock:
    rows = [
        (c.output, c.input, TableCell(c.status, verdict=_CONNECTION_VERDICTS[c.status]), c.cause or "", c.where or "")
        for c in connections[:_LISTED]
    ]
    left = len(connections) - len(rows)
    caption = "Outputs by inputs and parameters" + (f"; {left:,} more are not listed" if left else "")
    return table(caption, ("output", "by", "gradient", "cause", "where"), rows)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _worst(lost: Sequence[Any]) -> Verdict:
    verdicts = {_CONNECTION_VERDICTS[connection.status] for connection in lost}
    order: tuple[Verdict, ...] = ("bad", "attention")
    return next((verdict for verdict in order if verdict in verdicts), "good")


_INDEPENDENCE_VERDICTS: dict[str, Verdict] = {"proven": "good", "probed": "good", "unknown": "attention"}


def independence_section(context: Context) -> PageSection:
    """What keeps them apart, or the layer that mixes them."""
    if not context.source.batched:
        alone = Text("The function takes one sample, so there is no batch.")
        return PageSection("independence", "Samples of a batch", (alone,), "one sample at a time")
    keywords: dict[str, Any] = {"argnums": floating_arguments(context.points)}
    found = check_batch_independence(context.source, *context.points.first(2), **keywords)
    text = found.text[:1].upper() + found.text[1:]
    return PageSection(
        "independence",
        "Samples of a batch",
        (Text(f"{text.rstrip('.')}."),),
        f"independent, {found.status}" if found.ok else found.status,
        _INDEPENDENCE_VERDICTS.get(found.status, "bad"),
    )
