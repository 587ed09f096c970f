"""``tf.vectorized_map`` as tfgradkit uses it: with right converters, quiet, and one error for what it can't do."""

from __future__ import annotations

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
        if not traced:
            raise
        raise NotVectorizedError(str(error).strip().split("\n", 1)[0]) from error
