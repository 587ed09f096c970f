"""``tf.vectorized_map`` as tfgradkit uses it: with right converters, quiet, and one error for what it can't do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..errors import TfGradKitError
from . import converters as _converters  # noqa: F401  registers them
from .pfor import our_converters


class NotVectorizedError(ValueError):
    """An op can't be done for all turns of a loop at once; never seen by users."""


def vectorized_map(f: Callable[[Any], Any], rows: Any, one_by_one: bool = False) -> Any:
    """``f`` for each row of ``rows``, all at once: results ``[rows, ...]``.

    Args:
        one_by_one: whether single ops that can't be vectorized are done row by row.

    Raises:
        NotVectorizedError: an op can't be vectorized; errors of f itself come as they are.
    """
    traced = False
    before = _operations()

    def once(row: Any) -> Any:
        nonlocal traced
        results = f(row)
        traced = True
        return results

    try:
        with our_converters():
            return tf.vectorized_map(once, rows, fallback_to_while_loop=one_by_one, warn=False)
    except (TfGradKitError, tf.errors.OpError):
        raise
    except Exception as error:
        _abandon(_operations()[len(before) :])
        if not traced:
            raise
        raise NotVectorizedError(_gist(error)) from error


def _operations() -> list[Any]:
    return [] if tf.executing_eagerly() else tf.compat.v1.get_default_graph().get_operations()


class _Abandoned:
    """In place of the context of an op: one in a loop, whose ops a ``tf.function`` does not run on its own account."""

    outer_context = None

    IsWhileContext = staticmethod(lambda: True)
    IsCondContext = IsXLAContext = staticmethod(lambda: False)


def _abandon(operations: list[Any]) -> None:
    """Ops with effects, loops that assert something among them, would run although nobody uses their results."""
    for operation in operations:
        if operation.op_def.is_stateful:
            operation._set_control_flow_context(_Abandoned())


def _gist(error: Exception) -> str:
    """The line that says what happened; AutoGraph puts it last, behind the places in the user's code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1 if lines[:1] == ["in user code:"] else 0] if lines else type(error).__name__


def which(error: Exception) -> str:
    """``": Op"`` where the error names the type of the op, else nothing."""
    found = re.search(r"of op '(\w+)'|vectorization defined for (\w+)", str(error))
    return f": {found[1] or found[2]}" if found else ""
