"""The sections of the public diagnoses: ``check_gradients``, ``explain``, ``audit``, ``check_batch_independence``."""

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

# First derivatives on every target, and second derivatives in TensorFlow.
_ASKED: tuple[tuple[int, Literal["eager", "xla", "native"]], ...] = (
    (1, "eager"),
    (1, "xla"),
    (1, "native"),
    (2, "eager"),
)
_NAMES = {"eager": "TensorFlow", "xla": "XLA", "native": "C library"}
_LISTED = 24
# The digits that fill a bar.
_ALL = 16
_CHECK_VERDICTS: dict[CheckStatus, Verdict] = {
    "right": "good",
    "wrong": "bad",
    "nan": "bad",
    "kink": "attention",
    "noise": "attention",
}
_CONNECTION_VERDICTS: dict[str, Verdict] = {
    "connected": "good",
    "zero": "attention",
    "none": "attention",
    "error": "bad",
}
_INDEPENDENCE_VERDICTS: dict[str, Verdict] = {"proven": "good", "probed": "good", "unknown": "attention"}


def check_section(context: Context) -> PageSection:
    """The first derivatives against differences and against each other."""
    arguments, picked = context.points.first(1), floating_arguments(context.points)
    keywords: dict[str, Any] = {"argnums": picked, "batched": context.source.batched}
    check = check_gradients(context.source, *arguments, order=1, **keywords)
    blocks: list[PageBlock] = [
        Text(
            f"In random directions, in {check.dtype}, at the first point: extrapolated differences of the values, "
            "and the identity ⟨u, Jv⟩ = ⟨v, Jᵀu⟩ between forward and reverse mode."
        ),
        *([Text(f"Note: {check.note}.")] if check.note else []),
        _comparisons(check),
    ]
    summary = f"{check.digits:.1f} digits agree" if check.ok else f"{check.status}, {check.digits:.1f} digits"
    return PageSection("check", "Gradient check", tuple(blocks), summary, _CHECK_VERDICTS[check.status])


def _comparisons(check: GradientCheck) -> PageBlock:
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


def explain_section(context: Context) -> PageSection:
    """The connections of outputs with inputs and parameters, with places and remedies where a gradient is lost."""
    arguments = context.points.first(2)
    connections = list(explain(context.fn, *arguments))
    if len(context.source.trainable()):
        connections += explain(context.fn, *arguments, wrt="parameters")
    cut = [connection for connection in connections if connection.status != "connected"]
    lost = lost_from(connections)
    blocks: list[PageBlock] = [Text(_pairs_text(connections, cut))]
    if cut or len(connections) <= _LISTED:
        blocks.append(_pairs(connections if len(connections) <= _LISTED else cut))
    blocks += [CodeText(str(connection)) for connection in lost[:_LISTED]]
    if len(lost) > _LISTED:
        blocks.append(Text(f"{count(len(lost) - _LISTED, 'more finding')}: tgk.explain lists all."))
    names = {connection.input for connection in lost}
    summary = f"no gradient by {_listed(sorted(names))}" if lost else "every input and parameter reaches an output"
    return PageSection("explain", "Connections", tuple(blocks), summary, _worst(lost))


def lost_from(connections: Sequence[Any]) -> list[Any]:
    """The connections of inputs that reach no output at all, and the connections at which TensorFlow would raise.

    An output that depends on only some of the inputs is ordinary.
    """
    reaching = {connection.input for connection in connections if connection.status == "connected"}
    return [c for c in connections if c.status == "error" or (c.status != "connected" and c.input not in reaching)]


def _pairs_text(connections: Sequence[Any], cut: Sequence[Any]) -> str:
    pairs = count(len(connections), "pair")
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


def audit_section(context: Context) -> PageSection:
    """An answer for each order and target, and the ops with their places and remedies."""
    batched = context.source.batched
    audits = [
        audit(context.source, *context.specs, order=order, target=target, batched=batched) for order, target in _ASKED
    ]
    rows = []
    for result in audits:
        failing = sum(obstacle.fails for obstacle in result)
        slower = len(result) - failing
        answer = TableCell("yes", verdict="good") if result.ok else TableCell("no", verdict="attention")
        rows.append((f"order {result.order}", _NAMES[result.target], answer, str(failing), str(slower)))
    texts = list(dict.fromkeys(str(obstacle) for result in audits for obstacle in result))
    blocks: list[PageBlock] = [
        table("What can be had", ("derivatives", "in", "can be had", "ops that fail", "notes"), rows, (3, 4)),
        *(CodeText(text) for text in texts[:_LISTED]),
        *([Text(f"{count(len(texts) - _LISTED, 'more')}: tgk.audit lists all.")] if len(texts) > _LISTED else []),
        *(Text(f"Note: {result.incomplete}.") for result in audits if result.incomplete),
    ]
    refused = [f"{_NAMES[a.target]}, order {a.order}" for a in audits if not a.ok]
    summary = f"ops stand in the way of {'; '.join(refused)}" if refused else "nothing stands in the way"
    verdict: Verdict = "good" if not refused else "bad" if not audits[0].ok else "attention"
    return PageSection("audit", "Audit", tuple(blocks), summary, verdict)


def independence_section(context: Context) -> PageSection:
    """Whether the samples of a batch are independent, and why, or the layer that mixes them."""
    if not context.source.batched:
        alone = Text("The function takes one sample, so there is no batch.")
        return PageSection("independence", "Samples of a batch", (alone,), "one sample at a time")
    keywords: dict[str, Any] = {"argnums": floating_arguments(context.points)}
    result = check_batch_independence(context.source, *context.points.first(2), **keywords)
    text = result.text[:1].upper() + result.text[1:]
    return PageSection(
        "independence",
        "Samples of a batch",
        (Text(f"{text.rstrip('.')}."),),
        f"independent, {result.status}" if result.ok else result.status,
        _INDEPENDENCE_VERDICTS.get(result.status, "bad"),
    )
