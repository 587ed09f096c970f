"""Lists of tensors, in which the loops of a graph keep what they come by, for all turns at once.

A list that differs from turn to turn is one list of elements ``[turns, ...]``.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..ops import functions_of
from ..pfor import is_stacked, loop_results, refused, theirs, vectorized, wrapped


@vectorized("TensorListGather", "TensorListGetItem")
def _elements(given: Any) -> Any:
    """TensorFlow leaves the axis of the elements in front of that of the turns, or takes all to be integers."""
    if not is_stacked(given, 0) or (given.op_type == "TensorListGetItem" and not is_stacked(given, 1)):
        return theirs(given)
    dtype, index = given.get_attr("element_dtype"), given.input(1).t
    handle = given.stacked_input(0)
    handle = handle if handle.shape.rank == 0 else tf.gather(handle, 0)
    everything = tf.raw_ops.TensorListStack(input_handle=handle, element_shape=-1, element_dtype=dtype)
    if is_stacked(given, 1):
        order = tf.concat([[1, 0], tf.range(2, tf.rank(everything))], 0)
        return wrapped([tf.gather(tf.transpose(everything, order), index, batch_dims=1)])
    rows = tf.gather(everything, index)
    return wrapped([tf.transpose(rows, tf.concat([[1, 0], tf.range(2, tf.rank(rows))], 0))])


@vectorized("While", "StatelessWhile")
def _loop(given: Any) -> Any:
    """Where turns end apart, TensorFlow asks a list for elements that it doesn't have yet."""

    def apart() -> None:
        (_, body) = functions_of(given.op)
        if any(x.dtype == tf.variant and y is not x for x, y in zip(body.inputs, body.outputs, strict=True)):
            raise refused("a list that is written in a loop that each turn leaves after steps of its own")

    return loop_results(given, apart)
