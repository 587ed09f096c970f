"""What the classes of results have in common: the module that users import them from, and how ``pickle`` treats them.

A class lives in the file of its chapter, and is called after the module that users know: ``tfgradkit.types.Plan``.
``pickle`` finds it there, so that a result which was saved today is read after a file has moved.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NoReturn, TypeVar

Class = TypeVar("Class", bound=type)


def public(module: str) -> Callable[[Class], Class]:
    """Says that a class is imported from ``tfgradkit.<module>``; the outermost decorator, as a dataclass looks it up.

    Args:
        module: "types" for results, "layers" for Keras layers, "report"; "" for the package itself.

    Returns:
        The decorator.
    """

    def decorate(cls: Class) -> Class:
        cls.__module__ = f"{__package__}.{module}" if module else __package__
        return cls

    return decorate


def not_pickled(hint: str) -> Callable[[Class], Class]:
    """Says that objects of a class can't be pickled; they are copied as before.

    Args:
        hint: what to pickle in their place.

    Returns:
        The decorator. ``pickle.dumps`` of an object raises a ``TypeError`` with the hint.
    """

    def refuse(self: Any) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} can't be pickled: {hint}")

    def decorate(cls: Class) -> Class:
        # ``copy`` takes pickle's way to the state, unless a class says how it is copied.
        cls.__reduce__ = refuse  # type: ignore[method-assign, assignment]
        cls.__copy__ = _copied  # type: ignore[attr-defined]
        cls.__deepcopy__ = lambda self, memo: _copied(self, memo)  # type: ignore[attr-defined]
        return cls

    return decorate


def _copied(original: Any, memo: dict[int, Any] | None = None) -> Any:
    duplicate = object.__new__(type(original))
    if memo is not None:
        memo[id(original)] = duplicate
    vars(duplicate).update(vars(original) if memo is None else deepcopy(vars(original), memo))
    return duplicate
