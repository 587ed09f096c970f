"""From a traced function to a graph of constants and ops alone: no variables, no functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..errors import ExportError, GraphError
from ..graph.freeze import frozen as frozen_function


@dataclass(frozen=True)
class FrozenGraph:
    """A graph without variables.

    Attributes:
        graph: the GraphDef.
        inputs: names of the placeholders, by argument name.
        outputs: names of the result tensors' ops, by result name.
        specs: shape and dtype of all of them, by name.
    """

    graph: Any
    inputs: dict[str, str]
    outputs: dict[str, str]
    specs: dict[str, tf.TensorSpec]


def freeze(function: Any, arguments: dict[str, tf.TensorSpec]) -> FrozenGraph:
    """Traces ``function`` (keyword arguments → dict of tensors) and bakes its variables in.

    Raises:
        ExportError: TensorFlow can't freeze it.
    """
    concrete = tf.function(lambda **kw: _identities(function(**kw)), autograph=False).get_concrete_function(**arguments)
    try:
        frozen = frozen_function(concrete)
    except GraphError as error:
        raise ExportError(error.what, got=error.got) from error
    results = sorted(concrete.structured_outputs)
    inputs = {tensor.op.name: tensor for tensor in frozen.inputs}
    specs = {name: tf.TensorSpec(t.shape, t.dtype) for name, t in inputs.items()}
    specs |= {name: tf.TensorSpec(t.shape, t.dtype) for name, t in zip(results, frozen.outputs, strict=True)}
    return FrozenGraph(
        graph=frozen.graph.as_graph_def(),
        inputs={name: name for name in inputs},
        outputs={name: tensor.op.name for name, tensor in zip(results, frozen.outputs, strict=True)},
        specs=specs,
    )


def _identities(results: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """A result may be an argument, or twice the same tensor: each gets an op of its own."""
    return {name: tf.identity(tensor) for name, tensor in results.items()}
