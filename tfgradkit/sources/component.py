"""One component of a function's results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from ..arguments import shape_text, structure_text
from ..differentiable import Differentiable
from ..errors import SignatureError


def component(source: Differentiable, output: Any, has_aux: bool) -> Differentiable:
    """``source`` with one of its results: a key or an index of a structure, a position along the last axis of a
    tensor, or a tuple of such, from outside in.

    Raises (when called):
        SignatureError: there is no such result.
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
