"""The status of every output and input, asked of TensorFlow's tape where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from .block import Block
from .connection import Connection, Explanation, Status
from .named import Named
from .verdict import connection


def answers(block: Block, outputs: Sequence[Named], inputs: Sequence[Named]) -> Explanation:
    """One connection for each pair, outputs outside."""
    return Explanation(tuple(c for output in outputs for c in _for_output(block, output, inputs)))


def _for_output(block: Block, output: Named, inputs: Sequence[Named]) -> list[Connection]:
    if block.gradients is None:
        return [connection(block, output, x, block.static_status(output, x)) for x in inputs]
    try:
        found: list[Any] = block.gradients(output.value, [x.value for x in inputs])
    except Exception:  # which input's fault it is shows one by one
        found = [_ask(block, output, x) for x in inputs]
    return [_answer(block, output, x, g) for x, g in zip(inputs, found, strict=True)]


def _answer(block: Block, output: Named, source: Named, gradient: Any) -> Connection:
    error = str(gradient).strip().split("\n", 1)[0] if isinstance(gradient, Exception) else ""
    found = connection(block, output, source, _status(gradient), error)
    if found.status != "connected" or _is_number(gradient):
        return found
    return replace(found, why="Its gradient holds NaN or Inf.", remedy="tgk.locate_nonfinite(fn, …)  # says where")


def _ask(block: Block, output: Named, source: Named) -> Any:
    assert block.gradients is not None
    try:
        return block.gradients(output.value, [source.value])[0]
    except Exception as error:  # whatever a gradient function raises is the answer
        return error


def _status(gradient: Any) -> Status:
    if gradient is None:
        return "none"
    if isinstance(gradient, Exception):
        return "error"
    return "connected" if bool(tf.reduce_any(tf.convert_to_tensor(gradient) != 0)) else "zero"


def _is_number(gradient: Any) -> bool:
    return bool(tf.reduce_all(tf.math.is_finite(tf.abs(tf.convert_to_tensor(gradient)))))
