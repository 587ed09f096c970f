"""Ops for which TensorFlow's vectorized loops (``tf.vectorized_map``) have no rule.

The one file that touches ``tensorflow.python.ops.parallel_for``. Where that has another form than in TensorFlow 2.21,
loops over these ops stay loops.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import tensorflow as tf

Converter = Callable[[Any], Any]
# The message of a PreventGradient that is one outside of vectorized loops only.
OPEN_IN_LOOPS = "a custom gradient stands for this path"


def _pfor() -> Any:
    try:
        from tensorflow.python.ops.parallel_for import pfor
    except ImportError:
        return None
    return pfor


def vectorized(op_type: str) -> Callable[[Converter], Converter]:
    """Registers how an op is done for all turns of a loop at once."""

    def decorate(converter: Converter) -> Converter:
        register = getattr(_pfor(), "RegisterPFor", None)
        if register is not None:
            with suppress(KeyError):  # TensorFlow has a rule, which stays
                register(op_type)(converter)
        return converter

    return decorate


def has_vector_form(op_type: str) -> bool:
    """Whether ``tf.vectorized_map`` has a rule for an op; in another TensorFlow, where that isn't known, True."""
    converters = getattr(_pfor(), "_pfor_converter_registry", None)
    return not isinstance(converters, dict) or op_type in converters


def wrapped(tensors: list[tf.Tensor]) -> Any:
    """What a converter returns: results stacked over the turns of the loop."""
    return [_pfor().wrap(tensor, True) for tensor in tensors]


def stacked_inputs(given: Any) -> list[tf.Tensor]:
    """The inputs of an op over all turns, ``[turns, ...]``, past what holds gradients back outside of loops."""
    turns = given.pfor.loop_len_vector
    stacked = []
    for tensor in given.op.inputs:
        found = given.pfor._convert_helper(tensor.op.inputs[0] if _is_open(tensor.op) else tensor)
        shape = tf.shape(found.t)
        stacked.append(found.t if found.is_stacked else tf.broadcast_to(found.t[None], tf.concat([turns, shape], 0)))
        if not found.is_stacked:
            stacked[-1].set_shape([None, *found.t.shape])
    return stacked


def _is_open(op: Any) -> bool:
    return op.type == "PreventGradient" and op.get_attr("message") == OPEN_IN_LOOPS.encode()


@vectorized("PreventGradient")
def _prevent_gradient(given: Any) -> Any:
    """The same for all turns."""
    message, stacked = given.get_attr("message").decode(), given.stacked_input(0)
    if message == OPEN_IN_LOOPS:
        return wrapped([tf.identity(stacked)])
    return wrapped([tf.raw_ops.PreventGradient(input=stacked, message=message)])
