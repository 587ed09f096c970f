"""Where a derivative can't be traced or compiled as it is: a fixed batch, results of known rank, another strategy.

A derivative is traced for any batch size, and its results have the shapes that TensorFlow infers. Some functions need
a size that is known (``tf.unstack``), some results have a rank that only a run tells (``tf.py_function``), and XLA
compiles the gradient of a branch only for shapes that are known. All of that is tried on the way of a failure alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import tensorflow as tf

from ...differentiable import Differentiable
from ...errors import TfGradKitError
from ..batch.independence import OnlyThisBatchError
from ..options import Options
from .foreign_errors import RANK_UNKNOWN, of_trace, told
from .runtime_errors import NOT_COMPILED

Result = TypeVar("Result")


@dataclass(frozen=True)
class Way:
    """How a derivative is traced.

    Attributes:
        source, options: the function, and the choices.
        fixed: whether for the batch size at hand alone.
        ranked: whether results have the ranks that a run told.
    """

    source: Differentiable
    options: Options
    fixed: bool = False
    ranked: bool = False


def another_way(
    error: Exception, way: Way, arguments: Sequence[Any], attempt: Callable[[Way], Result]
) -> tuple[Way, Result]:
    """The first way in which ``attempt`` succeeds after ``way`` ended in ``error``, and the result of the attempt.

    Raises:
        TfGradKitError: no way succeeds: the first error, or the user's own exception.
    """
    for other in _ways_after(error, way, arguments):
        try:
            return other, attempt(other)
        except Exception as later:
            with suppress(Exception):
                return another_way(later, other, arguments, attempt)
            if isinstance(error, OnlyThisBatchError) or getattr(error, "what", None) == RANK_UNKNOWN:
                raise
    raise of_trace(error, way.source.name)


def _ways_after(error: Exception, way: Way, arguments: Sequence[Any]) -> Iterator[Way]:
    """What to try, in turn; each is a step that was not taken yet."""
    what = error.what if isinstance(error, TfGradKitError) else None
    free = way.source.batched and not way.fixed
    if what == NOT_COMPILED:
        yield from _compiled(way)
        return
    if free and (what == RANK_UNKNOWN or isinstance(error, OnlyThisBatchError) or _may_need_a_size(error)):
        yield _fixed(way)
    if what == RANK_UNKNOWN and not way.ranked:
        yield replace(way, source=_with_ranks(way.source, arguments), ranked=True)


def _compiled(way: Way) -> Iterator[Way]:
    """The untaken branch of a gradient has results of no size where a size is not known."""
    if way.source.batched and not way.fixed:
        way = _fixed(way)
        yield way
    if way.options.strategy == "auto":
        yield replace(way, options=replace(way.options, strategy="loop"))
        if way.options.mode == "auto":
            yield replace(way, options=replace(way.options, strategy="loop", mode="reverse"))


def _fixed(way: Way) -> Way:
    """For the batch size at hand. A ``tf.function`` would take what it has traced for any size: it is made anew."""
    call = way.source.call
    inner = getattr(call, "python_function", None) or getattr(call, "__wrapped__", None)
    if inner is None:
        return replace(way, fixed=True)
    kept = []  # a function must outlive the graph that calls it

    def anew(*arguments: Any) -> Any:
        kept.append(tf.function(inner))
        return kept[-1](*arguments)

    return replace(way, source=replace(way.source, call=anew), fixed=True)


def _may_need_a_size(error: Exception) -> bool:
    """Whether it is TensorFlow's error, or the user's, rather than one that we found ourselves."""
    if not isinstance(error, TfGradKitError):
        return True
    return error.__cause__ is not None and not isinstance(error.__cause__, TfGradKitError)


def _with_ranks(source: Differentiable, arguments: Sequence[Any]) -> Differentiable:
    """The function whose results have the ranks that they have at ``arguments``."""
    with told(source.name):
        found = tf.nest.flatten(tf.function(source.call, autograph=False)(*arguments))
    ranks = [leaf.shape.rank if isinstance(leaf, tf.Tensor) else None for leaf in found]

    def call(*given: Any) -> Any:
        y = source.call(*given)
        leaves = tf.nest.flatten(y)
        return tf.nest.pack_sequence_as(y, list(map(partial(_ranked, source), leaves, ranks)))

    return replace(source, call=call)


def _ranked(source: Differentiable, leaf: Any, rank: int | None) -> Any:
    if not isinstance(leaf, tf.Tensor) or leaf.shape.rank is not None or rank is None:
        return leaf
    return tf.ensure_shape(leaf, [None] * rank)
