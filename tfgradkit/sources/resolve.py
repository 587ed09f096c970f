"""Choosing the reader for what the user gave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..differentiable import Differentiable
from ..errors import SourceError
from .callables import from_function
from .keras_models import from_keras, is_keras


def resolve(fn: Any, *, batched: bool | None = None, training: bool = False) -> Differentiable:
    """``fn`` as a :class:`Differentiable`.

    Args:
        fn: a Keras model or layer, a ``tf.function``, a plain callable, a ``tf.Module`` with
            ``__call__``, or a ``Derivative``.
        batched: whether the first axis counts samples; None for the rule of each kind.
        training: what Keras layers are told.

    Raises:
        SourceError: ``fn`` is none of these.
    """
    if isinstance(fn, Differentiable):
        return fn if batched is None else replace(fn, batched=batched)
    if hasattr(fn, "as_differentiable"):
        return fn.as_differentiable(batched)
    if is_keras(fn):
        return from_keras(fn, batched=batched, training=training)
    if callable(fn):
        return from_function(fn, batched=batched)
    raise SourceError(
        "this can't be differentiated",
        expected="a Keras model or layer, a tf.function, a callable, or a tf.Module with __call__",
        got=type(fn).__name__,
        hint="tfgradkit.load(path) reads a model file" if isinstance(fn, str) else None,
    )
