"""A function that a transform made of another one: the same arguments and results, another gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import tensorflow as tf

from ..differentiable import Differentiable
from ..sources.resolve import resolve

Function = Callable[..., Any]


class Transformed:
    """``transform(fn)`` as a function; operators and exporters see the specs and variables of ``fn``.

    Attributes:
        fn: what it was made of; its variables belong to it alone.
    """

    def __init__(self, fn: Any, transform: Callable[[Function], Function]) -> None:
        self.fn = fn
        self._source = resolve(fn)
        self._call = transform(self._source.call)
        self.__name__ = self._source.name

    # A tf.function around the call would rewrite this whole package for AutoGraph: seconds, for nothing.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, *arguments: Any) -> Any:
        """The value of ``fn``, with the other gradient behind it."""
        return self._call(*arguments)

    def as_differentiable(self, batched: bool | None = None) -> Differentiable:
        """For operators and exporters."""
        source = self._source if batched is None else resolve(self.fn, batched=batched)
        return replace(source, call=self.__call__)
