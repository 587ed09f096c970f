"""What is known of the Jacobian's structure, and whether it is proven or sampled: ``structure``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ...derivatives.operators import build
from ...diagnose.structure import structure
from ..blocks import Code, Section, Text
from ..context import Context
from ..jacobians import floating_arguments
from ..numbers import count

_LISTED = 12


def section(context: Context) -> Section:
    """A paragraph for each block."""
    found = context.jacobians
    entries = found.total_rows * len(found.columns)
    if entries > context.limits.entries:
        text = (
            f"The Jacobian has {entries:,} entries, more than the {context.limits.entries:,} that are looked at here."
        )
        return Section("structure", "Structure", (Text(text),), "too large to look at")
    picked = floating_arguments(context.points)
    known = structure(build("jacobian", ("jacobian",), context.source, {"argnums": picked}), *context.points.first(1))
    blocks = [Code(str(block)) for block in known.blocks[:_LISTED]]
    notes = [Text(f"Note: {note}.") for note in known.notes]
    left = len(known.blocks) - _LISTED
    more = [Text(f"{count(left, 'more block')}: tgk.structure lists all.")] if left > 0 else []
    told = Text("“Proven” holds for all arguments; “as far as samples show” is what no sample contradicts.")
    kinds = Counter(_kind(block) for block in known.blocks)
    summary = ", ".join(kind if number == len(known.blocks) else f"{number} {kind}" for kind, number in kinds.items())
    return Section("structure", "Structure", (told, *blocks, *more, *notes), summary)


def _kind(block: Any) -> str:
    """The most that is known of a block, in a word."""
    if block.zero:
        return "zero"
    kind = "diagonal" if block.diagonal else "dense" if block.entries.value == block.rows * block.columns else "sparse"
    return f"{kind}, constant" if block.constant else kind
