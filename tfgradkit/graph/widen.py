"""A frozen graph in float64: the same ops, with constants and inputs cast up from float32.

What a graph computes in integers or bits stays as it is, so that only rounding differs between the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import GraphError

_WIDE = {tf.float32.as_datatype_enum: tf.float64.as_datatype_enum}
_HALF = {tf.float16.as_datatype_enum: "float16", tf.bfloat16.as_datatype_enum: "bfloat16"}
# They read the bits of a float32, or step from one float32 to the next.
_BITS = {"Bitcast", "NextAfter", "DecodeRaw"}
# They have a state, or are said to have one, and give the same numbers in both dtypes all the same.
_QUIET = {"Assert", "Print", "PrintV2", "Placeholder"}


def run_in_float64(frozen: Any, calls: Sequence[Mapping[str, np.ndarray]]) -> list[list[np.ndarray]]:
    """The results of a frozen function for the arguments of each call, all of its float32 made float64.

    Args:
        frozen: as :func:`~.grappler.frozen` returned it; its argument is a dict, flattened in the order of its keys.
        calls: such dicts, of arrays.

    Raises:
        GraphError: an op in it that has no float64, or would compute something else there.
    """
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True  # what is written is what is evaluated
    try:
        with tf.compat.v1.Session(graph=widened(frozen.graph), config=config) as session:
            call = session.make_callable([y.name for y in frozen.outputs], [x.name for x in frozen.inputs])
            return [call(*_wide_arrays(arguments)) for arguments in calls]
    except (ValueError, tf.errors.OpError) as error:
        raise GraphError("the graph doesn't run in float64", got=str(error).split("\n", 1)[0]) from error


def _wide_arrays(arguments: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    arrays = (np.asarray(arguments[name]) for name in sorted(arguments))
    return [array.astype(np.float64) if array.dtype == np.float32 else array for array in arrays]


def widened(graph: tf.Graph) -> tf.Graph:
    """``graph`` with float64 in place of float32; its tensors keep their names.

    Raises:
        GraphError: an op in it that has no float64, or would compute something else there.
    """
    for op in graph.get_operations():
        if reason := _obstacle(op):
            raise GraphError("the graph can't be evaluated in float64", got=reason)
    definition = graph.as_graph_def()
    for node in (*definition.node, *(n for f in definition.library.function for n in f.node_def)):
        _widen(node)
    for function in definition.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.type = _WIDE.get(argument.type, argument.type)
    wide = tf.Graph()
    try:
        with wide.as_default():
            tf.import_graph_def(definition, name="")
    except ValueError as error:
        raise GraphError("the graph can't be evaluated in float64", got=str(error).split("\n", 1)[0]) from error
    return wide


def _obstacle(op: tf.Operation) -> str | None:
    """Why an op can't be had in float64."""
    dtypes = {t.dtype.as_datatype_enum for t in (*op.inputs, *op.outputs)}
    for half in dtypes & _HALF.keys():
        return f"{op.type} computes in {_HALF[half]}"
    if op.type in _BITS:
        return f"{op.type} reads the bits of numbers"
    if op.type.startswith("Stateless") and "Random" in op.type:
        return f"{op.type} draws other random numbers in float64"
    if op.op_def.is_stateful and op.type not in _QUIET:
        return f"{op.type} has a state, or random numbers"
    if op.node_def.attr and _is_float32_alone(op):
        return f"{op.type} has no float64"
    return None


def _is_float32_alone(op: tf.Operation) -> bool:
    """Whether an op's definition has float32 where float64 can't be: in a fixed argument, or in a list of choices."""
    fixed = any(argument.type in _WIDE for argument in (*op.op_def.input_arg, *op.op_def.output_arg))
    choices = {a.name: set(a.allowed_values.list.type) for a in op.op_def.attr if a.allowed_values.list.type}
    chosen = {name: value.type for name, value in op.node_def.attr.items() if value.WhichOneof("value") == "type"}
    return fixed or any(
        chosen.get(name) in _WIDE and not allowed & set(_WIDE.values()) for name, allowed in choices.items()
    )


def _widen(node: Any) -> None:
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "type":
            value.type = _WIDE.get(value.type, value.type)
        elif kind == "list" and value.list.type:
            value.list.type[:] = [_WIDE.get(dtype, dtype) for dtype in value.list.type]
        elif kind == "tensor" and value.tensor.dtype in _WIDE:
            value.tensor.CopyFrom(tf.make_tensor_proto(tf.make_ndarray(value.tensor).astype(np.float64)))
