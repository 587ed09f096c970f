"""Ops of one graph made again in another, on the tapes that watch it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

import tensorflow as tf


def emit(operation: Any, inputs: Sequence[tf.Tensor], *, name: str | None = None, **changed: Any) -> list[tf.Tensor]:
    """``operation`` with other inputs, in the current graph and on the tapes that watch it.

    Raises:
        LookupError: TensorFlow has no such op in Python.
    """
    if operation.type == "Const":
        return [tf.constant(tf.make_ndarray(operation.get_attr("value")), operation.get_attr("dtype"), name=name)]
    function = getattr(tf.raw_ops, operation.type, None)
    if function is None:
        raise LookupError(operation.type)
    given = _inputs(operation, list(inputs)) | _attributes(operation) | changed
    names = _python_names(operation.type, tuple(given))
    result = function(**{names[key]: value for key, value in given.items()}, name=name)
    return list(result) if isinstance(result, (list, tuple)) else [] if result is None else [result]


@cache
def _python_names(op_type: str, names: tuple[str, ...]) -> dict[str, str]:
    """What Python calls the inputs and attributes of an op: a few have other names there, in the same order."""
    parameters = [p for p in inspect.signature(getattr(tf.raw_ops, op_type)).parameters if p != "name"]
    own = iter(p for p in parameters if p not in names)
    return {name: name if name in parameters else next(own, name) for name in names}


def _inputs(operation: Any, rest: list[tf.Tensor]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for argument in operation.op_def.input_arg:
        if argument.number_attr or argument.type_list_attr:
            count = operation.get_attr(argument.number_attr or argument.type_list_attr)
            count = count if isinstance(count, int) else len(count)
            named[argument.name], rest = rest[:count], rest[count:]
        else:
            named[argument.name], *rest = rest
    return named


def _attributes(operation: Any) -> dict[str, Any]:
    """Those that don't follow from the inputs."""
    follow = {
        name for arg in operation.op_def.input_arg for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)
    }
    return {a.name: operation.get_attr(a.name) for a in operation.op_def.attr if a.name not in follow}
