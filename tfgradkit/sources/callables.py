"""Plain callables, ``tf.function``s, concrete functions and callable ``tf.Module``s; and a component of the results."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import tensorflow as tf

from ..arguments import shape_text, structure_text
from ..differentiable import Differentiable
from ..errors import SignatureError
from ..op_gradients.exact_functions import exact
from ..op_gradients.register_gradient import rules_in_force


def from_function(fn: Callable[..., Any], *, batched: bool | None) -> Differentiable:
    """A function of tensors; it is one of a single sample unless ``batched`` is true."""
    name = getattr(fn, "__name__", type(fn).__name__)
    traced = _with_autograph(exact(fn)) if _has_statements(fn) else fn
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
    """``fn`` through AutoGraph, so that an ``if`` on a tensor works in a trace.

    A ``tf.function`` keeps its first gradient, so there is one ``tf.function`` for each set of the user's rules.
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


def _declared_specs(fn: Any) -> tuple[Any, ...] | None:
    """The specs of a ``tf.function`` with an ``input_signature``, or of a concrete function; None without."""
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


def component(source: Differentiable, output: Any, has_aux: bool) -> Differentiable:
    """``source`` with one component of its results.

    ``output`` is a key or an index of a structure, a position along the last axis of a tensor, or a tuple of these,
    from outside in.

    Raises (when called):
        SignatureError: there is no such component.
    """
    path = output if isinstance(output, tuple) else (output,)

    def call(*arguments: Any) -> Any:
        y = source.call(*arguments)
        if has_aux and isinstance(y, (list, tuple)) and len(y) == 2:
            return _picked(y[0], path, source.name), y[1]
        return _picked(y, path, source.name)

    return replace(source, call=call, name=f"{source.name}[{', '.join(map(repr, path))}]", output_names=())


def _picked(y: Any, path: tuple[Any, ...], name: str) -> Any:
    for key in path:
        if isinstance(y, (tf.Tensor, tf.Variable)) and isinstance(key, int) and y.shape.rank:
            width = y.shape[-1]
            if width is None or -width <= key < width:
                y = y[..., key]
                continue
        elif hasattr(y, "_fields") and key in y._fields:
            y = getattr(y, key)
            continue
        elif isinstance(y, (dict, list, tuple)) and _has(y, key):
            y = y[key]
            continue
        got = shape_text(y.shape) if isinstance(y, tf.Tensor) else structure_text(y)
        raise SignatureError("no such output", subject=name, expected=f"one of {got}", got=f"output={key!r}")
    return y


def _has(y: Any, key: Any) -> bool:
    return key in y if isinstance(y, dict) else isinstance(key, int) and -len(y) <= key < len(y)
