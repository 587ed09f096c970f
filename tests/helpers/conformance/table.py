"""All entries, by family and name."""

from __future__ import annotations

import random

from . import (
    entries_activations,
    entries_binary,
    entries_complex,
    entries_cumulative,
    entries_decompositions,
    entries_first,
    entries_losses,
    entries_matrices,
    entries_powers,
    entries_products,
    entries_reductions,
    entries_signal,
    entries_special,
    entries_unary,
)
from .entry import Entry

_FAMILIES = (
    entries_activations,
    entries_binary,
    entries_complex,
    entries_cumulative,
    entries_decompositions,
    entries_first,
    entries_losses,
    entries_matrices,
    entries_powers,
    entries_products,
    entries_reductions,
    entries_signal,
    entries_special,
    entries_unary,
)
TABLE: dict[str, Entry] = {}
for _family in _FAMILIES:
    for _entry in _family.ENTRIES:
        _name = f"{_family.__name__.rpartition('entries_')[2]}: {_entry.name}"
        if _name in TABLE:
            raise ValueError(f"two entries are called {_name!r}")
        TABLE[_name] = _entry


def sample(count: int, seed: int = 0) -> list[str]:
    """Names of ``count`` entries, drawn by ``seed``."""
    return sorted(random.Random(seed).sample(sorted(TABLE), min(count, len(TABLE))))
