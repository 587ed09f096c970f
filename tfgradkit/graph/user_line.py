"""The line of the user's own code that made an op."""

from __future__ import annotations

import linecache
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]
# Folders of code that is not the user's: installed packages, the standard library, this package.
_NOT_USERS = tuple(
    {str(_PACKAGE), *(str(Path(sysconfig.get_path(name)).resolve()) for name in ("purelib", "platlib", "stdlib"))}
)
_AUTOGRAPH = "__autograph_generated_file"
# Functions that TensorFlow and Keras put around theirs.
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
        called = _called_function(frame.name, frame.filename, called)
    return Site(layer=layer)


def here() -> Site:
    """The current place in the user's code."""
    location, layer, called = None, None, None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (location is None or layer is None):
        code = frame.f_code
        layer = layer or _layer_of_frame(frame)
        if location is None and is_users(code.co_filename):
            location = Location(code.co_filename, frame.f_lineno)
        elif location is None:
            called = _called_function(code.co_name, code.co_filename, called)
        frame = frame.f_back
    return Site(location, layer, None if location is None else called)


def _called_function(name: str, file: str, before: str | None) -> str | None:
    """This function as the one that the user's line calls; ``before``, where it is only a wrapper around that one."""
    if file.startswith(str(_PACKAGE)):
        return None
    return before if name in _WRAPPERS or name.startswith("<") else name.removesuffix("_v2")


def users_frame() -> FrameType | None:
    """The innermost frame of the user's code, or of AutoGraph's copy of it, which has the same names."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code.co_filename) and not is_copy(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _layer_of_frame(frame: FrameType) -> str | None:
    """The Keras layer whose method a frame runs."""
    if frame.f_code.co_name not in ("call", "__call__"):
        return None
    owner = frame.f_locals.get("self")
    name = getattr(owner, "name", None) if any(cls.__name__ == "Layer" for cls in type(owner).__mro__) else None
    return name if isinstance(name, str) else None


@cache
def is_users(file: str) -> bool:
    """Whether a file is the user's own code: not installed, and neither Python's nor this package's."""
    if file.startswith("<"):  # <frozen …>, <string>; but <stdin> and <ipython-…> are the user's
        return file.startswith(("<stdin", "<ipython"))
    return _AUTOGRAPH not in file and not str(Path(file).resolve()).startswith(_NOT_USERS)


def is_copy(file: str) -> bool:
    """Whether a file is AutoGraph's copy of the user's code."""
    return _AUTOGRAPH in file


def made_at(operation: Any) -> Location | None:
    """The user's innermost line on the way to an op.

    None for graphs that were loaded, and where the user only handed a model over: the line that calls this package
    made none of the model's ops.
    """
    frames = list(getattr(operation, "traceback", None) or ())
    inside = next((i for i, frame in enumerate(frames) if frame.filename.startswith(str(_PACKAGE))), 0)
    own = any(is_users(frame.filename) for frame in frames[inside:])
    return location_of(operation) if own else None
