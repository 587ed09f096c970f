"""Functions that may be given by a name, and how Keras configurations hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from ..errors import SignatureError


def named(given: Any, table: Mapping[str, Callable[..., Any]], role: str) -> Callable[..., Any]:
    """The function, from a table where a name was given.

    Raises:
        SignatureError: neither a function nor a name in the table.
    """
    found = table.get(given) if isinstance(given, str) else given
    if not callable(found):
        expected = " | ".join(repr(name) for name in table)
        raise SignatureError("no such function", subject=role, expected=f"{expected} | a function", got=repr(given))
    return found


def serialized(function: Callable[..., Any], table: Mapping[str, Callable[..., Any]]) -> Any:
    """The name of a function, or what Keras makes of one that is registered there.

    Raises:
        SignatureError: Keras could load it from code alone, which is not run.
    """
    known = next((name for name, entry in table.items() if entry is function), None)
    if known is not None:
        return known
    kind = function if hasattr(function, "__module__") and hasattr(function, "__name__") else type(function)
    registered = keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is kind
    if not registered and not kind.__module__.startswith("keras."):
        raise SignatureError(
            "a function can be saved only under a registered name",
            subject=getattr(function, "__name__", repr(function)),
            expected="@keras.saving.register_keras_serializable() above its definition",
            got="a lambda" if getattr(function, "__name__", "") == "<lambda>" else "none",
        )
    return keras.saving.serialize_keras_object(function)
