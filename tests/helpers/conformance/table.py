"""All entries, by name."""

from __future__ import annotations

import random

from . import (
    entries_activations,
    entries_binary,
    entries_complex,
    entries_first,
    entries_losses,
    entries_powers,
    entries_special,
    entries_unary,
)
from .entry import Entry

_FAMILIES = (
    entries_activations,
    entries_binary,
    entries_complex,
    entries_first,
    entries_losses,
    entries_powers,
    entries_special,
    entries_unary,
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
