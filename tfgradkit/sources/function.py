"""Plain callables, ``tf.function``s, concrete functions and callable ``tf.Module``s."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import tensorflow as tf

from ..arguments import shape_text
from ..differentiable import Differentiable
from ..errors import SignatureError
from ..rules.register import rules_in_force


def from_function(fn: Callable[..., Any], *, batched: bool | None) -> Differentiable:
    """A function of tensors; of a single sample unless ``batched`` says otherwise."""
    name = getattr(fn, "__name__", type(fn).__name__)
    traced = _with_autograph(fn) if _has_statements(fn) else fn
    module = fn if isinstance(fn, tf.Module) else None
    return Differentiable(
        call=traced,
        name=name,
        batched=bool(batched),
        input_specs=_declared_specs(fn),
        variables=tuple(module.variables) if module else (),
        trainable=lambda: tuple(module.trainable_variables) if module else (),
        argument_names=_argument_names(fn),
    )


def _with_autograph(fn: Callable[..., Any]) -> Callable[..., Any]:
    """An ``if`` on a tensor in the user's code works in a trace.

    A ``tf.function`` keeps the gradient that it was first asked for: there is one for each set of the user's rules.
    """
    functions: dict[Any, Any] = {}

    @wraps(fn)
    def call(*arguments: Any, **keywords: Any) -> Any:
        rules = rules_in_force()
        if rules not in functions:
            functions[rules] = tf.function(fn)
        return functions[rules](*arguments, **keywords)

    return call


def _has_statements(fn: Any) -> bool:
    return (inspect.isfunction(fn) or inspect.ismethod(fn)) and fn.__name__ != "<lambda>"


def floating_results(y: Any, name: str) -> list[tf.Tensor]:
    """The leaves of ``y`` as floating tensors, or an error that says what came."""
    return [_floating(leaf, name) for leaf in tf.nest.flatten(y)]


def _floating(y: Any, name: str) -> tf.Tensor:
    if y is None:
        raise SignatureError(
            "the function's result holds no tensor", subject=name, got="None", hint="is a return statement missing?"
        )
    try:
        y = tf.convert_to_tensor(y)
    except (TypeError, ValueError) as error:
        raise SignatureError(
            "the function's result can't be made a tensor",
            subject=name,
            expected="tensors, in any structure of dicts, lists and tuples",
            got=type(y).__name__,
            hint=str(error).split("\n", 1)[0],
        ) from error
    if not (y.dtype.is_floating or y.dtype.is_complex):
        raise SignatureError(
            "the function's result is not floating, so it has no derivative",
            subject=name,
            expected="a floating result",
            got=f"{y.dtype.name} {shape_text(y.shape)}",
            hint="return the value before argmax, round or the cast to integers; or as aux, with has_aux=True",
        )
    return y


def _declared_specs(fn: Any) -> tuple[Any, ...] | None:
    """The specs of a ``tf.function`` with an ``input_signature``, or of a concrete one, where they are all tensors."""
    traced, keywords = getattr(fn, "structured_input_signature", None) or ((), {})
    signature = getattr(fn, "input_signature", None) or (() if keywords else traced)
    known = all(isinstance(spec, tf.TensorSpec) for spec in tf.nest.flatten(list(signature)))
    return tuple(signature) if signature and known else None


def _argument_names(fn: Any) -> tuple[str, ...]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(getattr(fn, "python_function", fn)).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p.name for p in parameters if p.kind in positional and p.name != "self")
