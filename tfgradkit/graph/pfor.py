"""Rules of vectorized loops (``tf.vectorized_map``) for ops for which TensorFlow has none.

The one file that touches ``tensorflow.python.ops.parallel_for``. Where another TensorFlow has that module in another
form, loops over these ops stay loops.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import tensorflow as tf

Converter = Callable[[Any], Any]
# The message of a PreventGradient that lets gradients pass inside of vectorized loops.
OPEN_IN_LOOPS = "a custom gradient stands for this path"


def _pfor() -> Any:
    try:
        from tensorflow.python.ops.parallel_for import pfor
    except ImportError:
        return None
    return pfor


def vectorized(op_type: str) -> Callable[[Converter], Converter]:
    """Registers a converter, which computes an op for all turns of a loop at once."""

    def decorate(converter: Converter) -> Converter:
        register = getattr(_pfor(), "RegisterPFor", None)
        if register is not None:
            with suppress(KeyError):  # TensorFlow has a rule, which stays
                register(op_type)(converter)
        return converter

    return decorate


def has_vector_form(op_type: str) -> bool:
    """Whether ``tf.vectorized_map`` has a rule for an op; True where another TensorFlow doesn't tell."""
    converters = getattr(_pfor(), "_pfor_converter_registry", None)
    return not isinstance(converters, dict) or op_type in converters


def wrapped(tensors: list[tf.Tensor]) -> Any:
    """Results, stacked over the turns of the loop, in the form in which a converter returns them."""
    return [_pfor().wrap(tensor, True) for tensor in tensors]


def stacked_inputs(given: Any) -> list[tf.Tensor]:
    """The inputs of an op over all turns, ``[turns, ...]``; a PreventGradient that is open in loops is skipped."""
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
    """The same op for all turns; the identity where it is open in loops."""
    message, stacked = given.get_attr("message").decode(), given.stacked_input(0)
    if message == OPEN_IN_LOOPS:
        return wrapped([tf.identity(stacked)])
    return wrapped([tf.raw_ops.PreventGradient(input=stacked, message=message)])
