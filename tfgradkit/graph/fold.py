"""Values of a graph that no run can change, and single ops run on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# A larger tensor is no shape and no list of indices, or not worth the time.
_MOST = 1 << 24


class KnownValues:
    """Values of tensors that come from constants alone: never from inputs, variables or random numbers."""

    def __init__(self) -> None:
        self._values: dict[Any, np.ndarray | None] = {}

    def put(self, tensor: Any, value: np.ndarray | None) -> None:
        """Says what a placeholder of a function is called with."""
        if value is not None:
            self._values[tensor.ref()] = value

    def captured(self, graph: Any) -> None:
        """Tensors that a function closes over; they can't change, as variables can."""
        for outer, inner in graph.captures:
            if isinstance(outer, tf.Tensor) and hasattr(outer, "numpy") and outer.dtype not in _HANDLES:
                self.put(inner, outer.numpy())

    def value(self, tensor: Any) -> np.ndarray | None:
        """The value, or None where only the run knows it."""
        if tensor.ref() not in self._values:
            self._values[tensor.ref()] = self._computed(tensor)
        return self._values[tensor.ref()]

    def _computed(self, tensor: Any) -> np.ndarray | None:
        if tensor.dtype in _HANDLES or _size(tensor) > _MOST:
            return None
        static = tf.get_static_value(tensor)
        if static is not None:
            return np.asarray(static)
        operation = tensor.op
        if not operation.inputs or operation.op_def is None or operation.op_def.is_stateful or _calls(operation):
            return None
        values = [self.value(given) for given in operation.inputs]
        if any(value is None for value in values):
            return None
        found = run(operation, values)
        return None if found is None else found[tensor.value_index]


_HANDLES = (tf.resource, tf.variant)


def run(operation: Any, values: Sequence[Any], as_dtype: tf.DType | None = None) -> list[np.ndarray] | None:
    """The results of an op of some graph for other inputs; None where it can't be run.

    ``as_dtype`` stands in for the dtype of all floating inputs.
    """
    attributes = {
        name: value
        for name, value in operation.node_def.attr.items()
        if not name.startswith("_") or name == "_output_shapes"
    }
    attributes.pop("_output_shapes", None)
    if as_dtype is not None:
        for name in _floating_attributes(operation):
            attributes[name] = tf.compat.v1.AttrValue(type=as_dtype.as_datatype_enum)
    try:
        with tf.Graph().as_default() as graph:
            dtypes = [
                as_dtype if as_dtype is not None and t.dtype.base_dtype.is_floating else t.dtype.base_dtype
                for t in operation.inputs
            ]
            inputs = [tf.constant(v, d) for v, d in zip(values, dtypes, strict=True)]
            copy = graph.create_op(operation.type, inputs, attrs=attributes)
            with tf.compat.v1.Session(graph=graph) as session:
                return list(session.run(list(copy.outputs)))
    except (tf.errors.OpError, ValueError, TypeError):
        return None


def _floating_attributes(operation: Any) -> set[str]:
    names = [argument.type_attr for argument in operation.op_def.input_arg]
    attributes = operation.node_def.attr
    return {n for n in names if n and n in attributes and tf.as_dtype(attributes[n].type).is_floating}


def _calls(operation: Any) -> bool:
    return any(value.HasField("func") for value in operation.node_def.attr.values())


def _size(tensor: Any) -> int:
    return tensor.shape.num_elements() or 0
