"""An exception as a block of the page: what happened, and what to try."""

from __future__ import annotations

import re

from ..errors import TfGradKitError
from .blocks import Problem

_LONGEST = 400
_COLOURS = re.compile("\x1b\\[[0-9;]*m")  # Keras writes for terminals
# Lines that say nothing of the failure itself.
_HEADS = ("Detected at node", "Exception encountered")


def problem(what: str, error: Exception) -> Problem:
    """Why something failed. Ours say it in parts; of others the first line that says something."""
    if not isinstance(error, TfGradKitError):
        return Problem(f"{what}.", (("because", f"{type(error).__name__}: {first_line(error)}"),))
    subject = "" if error.subject is None else f": {error.subject}"
    facts = (("expected", error.expected), ("got", error.got), ("try", error.hint))
    told = tuple((name, _clipped(str(fact))) for name, fact in facts if fact is not None)
    return Problem(f"{what}.", (("because", _clipped(f"{error.what}{subject}")), *told))


def first_line(error: Exception) -> str:
    """The first line of a message that says something."""
    text = error.what if isinstance(error, TfGradKitError) else _COLOURS.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("in user code"):  # AutoGraph: the way to the line, then what it raised
        return _clipped(lines[-1])
    told = [line for line in lines if not line.startswith(_HEADS)]
    return _clipped((told or lines or [type(error).__name__])[0])


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
