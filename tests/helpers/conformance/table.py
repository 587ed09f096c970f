"""All entries, by name."""

from __future__ import annotations

import random

from . import (
    entries_cumulative,
    entries_decompositions,
    entries_first,
    entries_matrices,
    entries_products,
    entries_reductions,
    entries_signal,
)
from .entry import Entry

_FAMILIES = (
    entries_cumulative,
    entries_decompositions,
    entries_first,
    entries_matrices,
    entries_products,
    entries_reductions,
    entries_signal,
)
TABLE: dict[str, Entry] = {}
for _family in _FAMILIES:
    for _entry in _family.ENTRIES:
        if _entry.name in TABLE:
            raise ValueError(f"two entries are called {_entry.name!r}")
        TABLE[_entry.name] = _entry


def sample(count: int, seed: int = 0) -> list[str]:
    """Names of ``count`` entries, drawn by ``seed``."""
    return sorted(random.Random(seed).sample(sorted(TABLE), min(count, len(TABLE))))
