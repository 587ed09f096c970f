"""What a function and its rules take, and how the function with rules looks from outside."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import tensorflow as tf

from ..errors import SignatureError
from .tie import is_differentiable

Function = Callable[..., Any]


def signature_of(fn: Function) -> inspect.Signature | None:
    """What it takes; None where Python can't tell."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return None
    # The name that every function of TensorFlow can be given is nothing for a rule.
    own = [p for p in signature.parameters.values() if (p.name, p.default) != ("name", None)]
    return signature.replace(parameters=own)


def closed_over(*functions: Function | None) -> list[tf.Tensor]:
    """Differentiable eager tensors that functions close over by name, each once."""
    found = {}
    for fn in functions:
        for cell in getattr(fn, "__closure__", None) or ():
            with suppress(ValueError):  # an empty cell
                found[id(cell.cell_contents)] = cell.cell_contents
    return [x for x in found.values() if isinstance(x, tf.__internal__.EagerTensor) and is_differentiable(x)]


def positional(signature: inspect.Signature | None) -> list[str] | None:
    """Names of all arguments; None where their number isn't known."""
    if signature is None:
        return None
    parameters = list(signature.parameters.values())
    single = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters] if all(p.kind in single for p in parameters) else None


def name_like(result: Any, fn: Any, name: str, signature: inspect.Signature | None) -> None:
    """Keras saves a function by its name and module."""
    result.__name__ = result.__qualname__ = name
    result.__module__ = getattr(fn, "__module__", None) or __name__
    result.__doc__ = getattr(fn, "__doc__", None)
    vars(result).pop("__wrapped__", None)
    if signature is not None:
        result.__signature__ = signature


def check_rules(name: str, fn: Any, vjp: Any, jvp: Any) -> None:
    """Raises :class:`SignatureError` where a rule is none, or takes other arguments than it is called with."""
    if not callable(fn):
        raise SignatureError("a rule needs a function", subject="fn", expected="a callable", got=type(fn).__name__)
    if vjp is None and jvp is None:
        raise SignatureError("no rule was given", subject=name, expected="vjp=, jvp= or both", got="neither")
    known = positional(signature_of(fn))
    for role, rule in (("vjp", vjp), ("jvp", jvp)):
        if rule is None:
            continue
        if not callable(rule):
            raise SignatureError("a rule is a function", subject=role, expected="a callable", got=type(rule).__name__)
        if known is not None:
            seeds = ["output_gradients"] if role == "vjp" else [f"d_{x}" for x in known]
            _check_takes(f"the {role} rule of {name}", rule, [*known, *seeds])


def _check_takes(role: str, rule: Function, wanted: list[str]) -> None:
    try:
        signature = inspect.signature(rule)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*wanted)
    except TypeError as error:
        raise SignatureError(
            f"{role} takes other arguments",
            expected=f"({', '.join(wanted)})",
            got=str(signature),
            hint="it takes all arguments of the function by position, those with a default, too",
        ) from error
