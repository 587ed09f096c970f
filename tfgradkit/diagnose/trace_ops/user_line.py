"""Where in the user's own code an op was made."""

from __future__ import annotations

import linecache
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[2]
# Not the user's: what is installed, the standard library, and this package.
_FOREIGN = tuple(
    {str(_PACKAGE), *(str(Path(sysconfig.get_path(name)).resolve()) for name in ("purelib", "platlib", "stdlib"))}
)
_AUTOGRAPH = "__autograph_generated_file"
# What TensorFlow and Keras put around their functions.
_WRAPPERS = frozenset(
    {"error_handler", "op_dispatch_handler", "wrapper", "wrapped", "decorated", "new_func", "__call__"}
    | {"binary_op_wrapper", "r_binary_op_wrapper", "tensor_equals"}
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


@dataclass(frozen=True)
class Site:
    """Where an op was made.

    Attributes:
        location: the innermost line of the user's code; None for graphs that were loaded.
        layer: the innermost Keras layer.
        called: the function that the user's line calls, on the way to the op.
    """

    location: Location | None = None
    layer: str | None = None
    called: str | None = None


def location_of(operation: Any) -> Location | None:
    """The innermost line of the user's code on the way to an op; None for graphs that were loaded."""
    return site_of(operation).location


def site_of(operation: Any, layer: str | None = None) -> Site:
    """Where an op of a graph was made."""
    try:
        frames = list(operation.traceback)
    except (AttributeError, TypeError, ValueError):  # imported from a file, so made by no Python code
        return Site(layer=layer)
    called = None
    for frame in reversed(frames):
        if is_users(frame.filename):
            return Site(Location(frame.filename, frame.lineno), layer, called)
        called = _called(frame.name, frame.filename, called)
    return Site(layer=layer)


def here() -> Site:
    """Where the program is now, seen from the user's code."""
    location, layer, called = None, None, None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (location is None or layer is None):
        code = frame.f_code
        layer = layer or _layer(frame)
        if location is None and is_users(code.co_filename):
            location = Location(code.co_filename, frame.f_lineno)
        elif location is None:
            called = _called(code.co_name, code.co_filename, called)
        frame = frame.f_back
    return Site(location, layer, None if location is None else called)


def _called(name: str, file: str, before: str | None) -> str | None:
    """What the user's line calls, if it is this function: not what is around it, and nothing of our own."""
    if file.startswith(str(_PACKAGE)):
        return None
    return before if name in _WRAPPERS or name.startswith("<") else name.removesuffix("_v2")


def users_frame() -> FrameType | None:
    """The innermost frame of the user's code, be it what AutoGraph makes of it, with the same names."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code.co_filename) and _AUTOGRAPH not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame


def _layer(frame: FrameType) -> str | None:
    """The Keras layer whose method a frame runs."""
    if frame.f_code.co_name not in ("call", "__call__"):
        return None
    owner = frame.f_locals.get("self")
    name = getattr(owner, "name", None) if any(cls.__name__ == "Layer" for cls in type(owner).__mro__) else None
    return name if isinstance(name, str) else None


@cache
def is_users(file: str) -> bool:
    """Whether a file is the user's own code: not installed, not Python's, not this package's."""
    if file.startswith("<"):  # <frozen …>, <string>; but <stdin> and <ipython-…> are the user's
        return file.startswith(("<stdin", "<ipython"))
    return _AUTOGRAPH not in file and not str(Path(file).resolve()).startswith(_FOREIGN)


def made_at(operation: Any) -> Location | None:
    """The user's innermost line on the way to an op.

    None for graphs that were loaded, and where the user only handed a model over: the line that calls this package
    made none of the model's ops.
    """
    frames = list(getattr(operation, "traceback", None) or ())
    inside = next((i for i, frame in enumerate(frames) if frame.filename.startswith(str(_PACKAGE))), 0)
    own = any(is_users(frame.filename) for frame in frames[inside:])
    return location_of(operation) if own else None
