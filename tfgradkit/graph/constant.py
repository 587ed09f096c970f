"""Which results of a function depend on no argument: proven from its graph for one sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from .equal import random_inputs
from .flops import product_flops
from .freeze import frozen
from .grappler import optimized
from .view import GraphView, spec_of_leaf, view
from .xla import compiled


@dataclass(frozen=True)
class Constants:
    """What was found for one sample, or for the shapes given where the function is not batched.

    Attributes:
        values: results that depend on no argument, by position; batched, of a batch of one.
        assumed: whether they were found for one sample, and are taken to be so for each.
        flops: of matrix products, before and after; None where a size is not known.
        instructions: what XLA leaves; None where it wasn't asked, or can't compile it.
    """

    values: dict[int, np.ndarray]
    assumed: bool
    flops: tuple[int, int] | None = None
    instructions: int | None = None

    def dropped(self) -> Constants:
        """The same without values."""
        return replace(self, values={})


def constants_of(fn: Any, seen: GraphView, *, batched: bool | None, training: bool) -> Constants:
    """What is constant of ``fn``, which was ``seen``: by Grappler, and where that sees nothing, by XLA.

    Raises:
        GraphError: it can't be frozen.
    """
    one = _one_sample(fn, seen, batched=batched, training=training)
    plain = frozen(one.concrete, lower_control_flow=False)
    names = [tensor.name for tensor in (*plain.inputs, *plain.outputs)]
    definition = optimized(plain.graph, names)
    inputs = {tensor.op.name for tensor in plain.inputs}
    varying = _varying(definition, inputs)
    found = {i for i, tensor in enumerate(plain.outputs) if tensor.op.name not in varying}
    known = all(tensor.shape.is_fully_defined() for tensor in plain.inputs)
    code = compiled(plain) if known else None
    if code is not None:
        found |= {i for i, varying in enumerate(code.varying) if not varying}
    values = {i: tensor.numpy() for i, tensor in enumerate(_run(plain, one)) if i in found}
    return Constants(
        values,
        one is not seen,
        _flops(plain, definition, inputs) if known else None,
        None if code is None else code.instructions,
    )


def _one_sample(fn: Any, seen: GraphView, *, batched: bool | None, training: bool) -> GraphView:
    """The function for a batch of one, where the batch's size is not known."""
    if not seen.source.batched or all(t.shape.is_fully_defined() for t in seen.inputs):
        return seen
    arguments = tf.nest.map_structure(lambda leaf: leaf if spec_of_leaf(leaf) is None else _one(leaf), seen.arguments)
    return view(fn, *arguments, batched=batched, training=training)


def _one(leaf: Any) -> tf.TensorSpec:
    spec = spec_of_leaf(leaf)
    assert spec is not None
    shape = [1, *spec.shape[1:]] if spec.shape.rank and spec.shape[0] is None else spec.shape
    return tf.TensorSpec(shape, spec.dtype, spec.name)


def _varying(definition: Any, inputs: set[str]) -> set[str]:
    """The ops of a GraphDef that depend on one of ``inputs``, or on what changes by itself."""
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(definition, name="")
    found: set[str] = set()
    for operation in graph.get_operations():  # in the order of the graph: inputs first
        given = any(tensor.op.name in found for tensor in operation.inputs)
        if given or operation.name in inputs or operation.op_def.is_stateful:
            found.add(operation.name)
    return found


def _run(plain: Any, one: GraphView) -> list[tf.Tensor]:
    return [tensor for tensor in tf.nest.flatten(plain(*random_inputs(one))) if tensor is not None]


def _flops(plain: Any, definition: Any, inputs: set[str]) -> tuple[int, int] | None:
    try:
        return product_flops(plain.graph.as_graph_def(), inputs), product_flops(definition, inputs)
    except (TypeError, ValueError):  # a size that is not known
        return None
