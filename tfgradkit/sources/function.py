"""Plain callables, ``tf.function``s, concrete functions and callable ``tf.Module``s."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..differentiable import Differentiable, shape_text
from ..errors import SignatureError


def from_function(fn: Callable[..., Any], *, batched: bool | None) -> Differentiable:
    """A function of one tensor; a single sample unless ``batched`` says otherwise."""
    name = getattr(fn, "__name__", type(fn).__name__)
    # tf.function brings AutoGraph: an `if` on a tensor in the user's code works in a trace.
    traced = tf.function(fn) if _has_statements(fn) else fn

    def call(x: tf.Tensor) -> tf.Tensor:
        return single_tensor(traced(x), name)

    return Differentiable(
        call=call,
        name=name,
        batched=bool(batched),
        input_spec=_declared_spec(fn),
        variables=tuple(getattr(fn, "variables", ())) if isinstance(fn, tf.Module) else (),
    )


def _has_statements(fn: Any) -> bool:
    return (inspect.isfunction(fn) or inspect.ismethod(fn)) and fn.__name__ != "<lambda>"


def single_tensor(y: Any, name: str) -> tf.Tensor:
    """``y`` as one floating tensor, or an error that says what came."""
    if isinstance(y, (list, tuple)) and len(y) == 1:
        y = y[0]
    if isinstance(y, (dict, list, tuple)) or y is None:
        raise SignatureError(
            "the function must return one tensor",
            subject=name,
            expected="one tensor",
            got=_describe(y),
            hint="return one of them, or tf.concat / tf.stack them",
        )
    y = tf.convert_to_tensor(y)
    if not (y.dtype.is_floating or y.dtype.is_complex):
        raise SignatureError(
            "the function's result is not floating, so it has no derivative",
            subject=name,
            expected="a floating result",
            got=f"{y.dtype.name} {shape_text(y.shape)}",
            hint="return the value before argmax, round or the cast to integers",
        )
    return y


def _describe(y: Any) -> str:
    if y is None:
        return "None (is a return statement missing?)"
    keys = f" with keys {sorted(map(str, y))}" if isinstance(y, dict) else f" of {len(y)}"
    return f"a {type(y).__name__}{keys}"


def _declared_spec(fn: Any) -> tf.TensorSpec | None:
    """The only spec of a ``tf.function`` with an ``input_signature``, where there is one."""
    signature = getattr(fn, "input_signature", None)
    if signature and len(signature) == 1 and isinstance(signature[0], tf.TensorSpec):
        return signature[0]
    return None
