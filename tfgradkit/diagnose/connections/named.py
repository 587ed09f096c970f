"""A tensor or variable with its names: the one for messages, and those of the user's code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Named:
    """What is differentiated, or differentiated by.

    Attributes:
        name: how messages call it.
        value: a tensor, a ``tf.Variable`` or a Keras variable.
        aliases: what the user's code calls it: "x", "self.w".
        layer: of a variable, the Keras layer.
    """

    name: str
    value: Any
    aliases: frozenset[str] = frozenset()
    layer: str | None = None

    @property
    def variable(self) -> tf.Variable | None:
        """The ``tf.Variable``, a Keras variable's own one, too."""
        inner = getattr(self.value, "value", None) if not isinstance(self.value, (tf.Variable, tf.Tensor)) else None
        found = self.value if inner is None else inner
        return found if isinstance(found, tf.Variable) else None

    @property
    def tensor(self) -> Any:
        """The tensor that ops take; of a variable its handle."""
        return self.value if self.variable is None else self.variable.handle

    @property
    def dtype(self) -> tf.DType:
        """Of the numbers."""
        return self.value.dtype if self.variable is None else self.variable.dtype


def names_of(value: Any, scopes: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """What code with these local and global names calls a tensor or a variable."""
    found = set()
    for scope in scopes:
        found |= {name for name, thing in scope.items() if thing is value}
        own = vars(scope["self"]) if hasattr(scope.get("self"), "__dict__") else {}
        found |= {f"self.{name}" for name, thing in own.items() if thing is value}
    return frozenset(found)


def scopes_of(fn: Any) -> list[Mapping[str, Any]]:
    """The names that a plain function finds around itself."""
    if isinstance(fn, tf.Module):
        return [{"self": fn}]
    try:
        around = inspect.getclosurevars(getattr(fn, "python_function", fn))
    except (TypeError, ValueError):
        return []
    return [around.nonlocals, around.globals, {"self": fn.__self__} if inspect.ismethod(fn) else {}]
