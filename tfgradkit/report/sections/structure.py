"""What is known of the Jacobian's structure, and whether it is proven or sampled: ``structure``."""

from __future__ import annotations

from ...derivatives.operators import build
from ..blocks import Code, Section, Text
from ..context import Context
from ..jacobians import floating_arguments
from ..numbers import count

_LISTED = 12


def section(context: Context) -> Section:
    """A paragraph for each block."""
    from ...diagnose.structure import structure

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
    zero = sum(bool(block.zero) for block in known.blocks)
    constant = sum(bool(block.constant) and not block.zero for block in known.blocks)
    parts = [f"{zero} zero"] * bool(zero) + [f"{constant} constant"] * bool(constant)
    summary = count(len(known.blocks), "block") + (f", of them {', '.join(parts)}" if parts else "")
    return Section("structure", "Structure", (told, *blocks, *more, *notes), summary)
