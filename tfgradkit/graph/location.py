"""Where in the user's own code an op was made."""

from __future__ import annotations

import linecache
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent.parent
# Not the user's: what is installed, the standard library, and this package.
_FOREIGN = tuple(
    {str(_PACKAGE), *(str(Path(sysconfig.get_path(name)).resolve()) for name in ("purelib", "platlib", "stdlib"))}
)


@dataclass(frozen=True)
class Location:
    """A line of a file; ``str()`` is "file.py:12"."""

    file: str
    line: int

    @property
    def code(self) -> str:
        """The line itself, "" where the file can't be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"


def location_of(operation: Any) -> Location | None:
    """The innermost line of the user's code on the way to an op; None for graphs that were loaded."""
    try:
        frames = list(operation.traceback)
    except (AttributeError, ValueError):  # imported from a file, so made by no Python code
        return None
    own = [frame for frame in frames if is_users(frame.filename)]
    return Location(own[-1].filename, own[-1].lineno) if own else None


@cache
def is_users(file: str) -> bool:
    """Whether a file is the user's own code: not installed, not Python's, not this package's."""
    if file.startswith("<"):  # <frozen …>, <string>; but <stdin> and <ipython-…> are the user's
        return file.startswith(("<stdin", "<ipython"))
    return not str(Path(file).resolve()).startswith(_FOREIGN)
