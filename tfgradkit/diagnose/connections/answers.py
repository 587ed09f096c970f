"""The status of every output and input, asked of TensorFlow's tape where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .block import Block
from .connection import Connection, Explanation, Status
from .named import Named


def answers(block: Block, outputs: Sequence[Named], inputs: Sequence[Named]) -> Explanation:
    """One connection for each pair, outputs outside."""
    return Explanation(tuple(c for output in outputs for c in _for_output(block, output, inputs)))


def _for_output(block: Block, output: Named, inputs: Sequence[Named]) -> list[Connection]:
    if block.gradients is None:
        return [block.connection(output, x, block.static_status(output, x)) for x in inputs]
    try:
        found: list[Any] = block.gradients(output.value, [x.value for x in inputs])
    except Exception:  # which input's fault it is shows one by one
        found = [_ask(block, output, x) for x in inputs]
    pairs = zip(inputs, found, strict=True)
    return [block.connection(output, x, _status(g), str(g) if isinstance(g, Exception) else "") for x, g in pairs]


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
