"""The derivatives against differences and against each other: ``check_gradients``."""

from __future__ import annotations

from typing import Any

from ...diagnose.check import check_gradients
from ...diagnose.findings import GradientCheck, Status
from ..blocks import Block, Cell, Section, Text, Verdict, table
from ..context import Context
from ..jacobians import floating_arguments
from ..numbers import short

_VERDICTS: dict[Status, Verdict] = {"right": "good", "wrong": "bad", "kink": "attention", "noise": "attention"}
# The digits that fill a bar.
_ALL = 16


def section(context: Context) -> Section:
    """First derivatives, and second ones where the model has any."""
    arguments, picked = context.points.first(1), floating_arguments(context.points)
    keywords: dict[str, Any] = {"argnums": picked, "batched": context.source.batched}
    check = check_gradients(context.source, *arguments, order=1, **keywords)
    blocks: list[Block] = [
        Text(
            f"In random directions, in {check.dtype}, at the first point: extrapolated differences of the values, "
            "and the identity ⟨u, Jv⟩ = ⟨v, Jᵀu⟩ between forward and reverse mode."
        ),
        *([Text(f"Note: {check.note}.")] if check.note else []),
        _findings(check),
    ]
    summary = f"{check.digits:.1f} digits agree" if check.ok else f"{check.status}, {check.digits:.1f} digits"
    return Section("check", "Gradient check", tuple(blocks), summary, _VERDICTS[check.status])


def _findings(check: GradientCheck) -> Block:
    rows = [
        (
            finding.method,
            finding.place,
            short(finding.error, 2),
            Cell(f"{finding.digits:.1f}", min(1.0, finding.digits / _ALL)),
            Cell(finding.status, verdict=_VERDICTS[finding.status]),
        )
        for finding in check.findings
    ]
    return table("Comparisons", ("compared", "of", "relative error", "digits", "result"), rows, (2, 3))
