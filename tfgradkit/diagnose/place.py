"""The line of the user's own code that made an op."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..graph.location import Location, is_users, location_of

_PACKAGE = str(Path(__file__).resolve().parent.parent)


def made_at(operation: Any) -> Location | None:
    """The user's innermost line on the way to an op.

    None for graphs that were loaded, and where the user only handed a model over: the line that calls this package
    made none of the model's ops.
    """
    frames = list(getattr(operation, "traceback", None) or ())
    inside = next((i for i, frame in enumerate(frames) if frame.filename.startswith(_PACKAGE)), 0)
    own = any(is_users(frame.filename) for frame in frames[inside:])
    return location_of(operation) if own else None
