"""Whether the samples of a batch are independent: ``check_batch_independence``."""

from __future__ import annotations

from typing import Any

from ...diagnose.independence import check_batch_independence
from ..blocks import Section, Text, Verdict
from ..context import Context
from ..jacobians import floating_arguments

_VERDICTS: dict[str, Verdict] = {"proven": "good", "probed": "good", "unknown": "attention"}


def section(context: Context) -> Section:
    """What keeps them apart, or the layer that mixes them."""
    if not context.source.batched:
        alone = Text("The function takes one sample, so there is no batch.")
        return Section("independence", "Samples of a batch", (alone,), "one sample at a time")
    keywords: dict[str, Any] = {"argnums": floating_arguments(context.points)}
    found = check_batch_independence(context.source, *context.points.first(2), **keywords)
    text = found.text[:1].upper() + found.text[1:]
    return Section(
        "independence",
        "Samples of a batch",
        (Text(f"{text.rstrip('.')}."),),
        f"independent, {found.status}" if found.ok else found.status,
        _VERDICTS.get(found.status, "bad"),
    )
