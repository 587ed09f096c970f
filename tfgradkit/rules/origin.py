"""Where a rule was written."""

from __future__ import annotations

import functools
import inspect
from typing import Any


def where(rule: Any) -> str:
    """``file.py:line`` of a function, or its name where it has no source."""
    while isinstance(rule, functools.partial):
        rule = rule.func
    rule = inspect.unwrap(rule)
    # An object that can be called has its code in its class.
    code = getattr(rule, "__code__", None) or getattr(type(rule).__call__, "__code__", None)
    return repr(rule) if code is None else f"{code.co_filename}:{code.co_firstlineno}"
