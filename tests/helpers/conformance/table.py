"""All entries, by family and name."""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path

from .entry import Entry

_FAMILIES = [import_module(f"{__package__}.{file.stem}") for file in sorted(Path(__file__).parent.glob("entries_*.py"))]
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
