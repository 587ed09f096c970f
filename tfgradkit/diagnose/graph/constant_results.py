"""What XLA makes of a function: how much is left, and on which arguments its results depend.

Which results of a function depend on no argument: proven from its graph for one sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from ...graph.flops import product_flops
from ...graph.grappler import frozen, optimized
from .equal_results import random_inputs
from .graph_view import GraphView, spec_of_leaf, view

# What runs nothing.
_PLUMBING = frozenset({"parameter", "constant", "tuple", "get-tuple-element", "bitcast"})
# What changes by itself.
_STATE = frozenset({"rng", "rng-get-and-update-state", "infeed", "recv", "custom-call"})


@dataclass(frozen=True)
class XlaProgram:
    """A function after XLA's optimizations.

    Attributes:
        instructions: how many are left.
        varying: for each result, whether it depends on an argument.
    """

    instructions: int
    varying: tuple[bool, ...]


def compiled(concrete: Any) -> XlaProgram | None:
    """What XLA makes of a concrete function without variables; None where it can't compile it.

    All sizes have to be known.
    """
    from tensorflow.compiler.xla.service import hlo_pb2

    function = tf.function(concrete, jit_compile=True, autograph=False)
    specs = [tf.TensorSpec(t.shape, t.dtype) for t in concrete.inputs]
    try:
        content = function.experimental_get_compiler_ir(*specs)(stage="optimized_hlo_proto_serialized")
        module = hlo_pb2.HloProto.FromString(content).hlo_module
    except (ValueError, TypeError, DecodeError, tf.errors.OpError):
        return None
    entry = next((c for c in module.computations if c.id == module.entry_computation_id), None)
    opcodes = {instruction.opcode for computation in module.computations for instruction in computation.instructions}
    varying = (
        _varying_parameters(entry) if entry is not None and not opcodes & _STATE else (True,) * len(concrete.outputs)
    )
    if len(varying) != len(concrete.outputs):
        return None
    left = sum(1 for c in module.computations for i in c.instructions if i.opcode not in _PLUMBING | {"fusion"})
    return XlaProgram(left, varying)


def _varying_parameters(entry: Any) -> tuple[bool, ...]:
    """Of the results of a computation, whose instructions come after those that they read."""
    found: dict[int, bool] = {}
    for instruction in entry.instructions:
        found[instruction.id] = instruction.opcode == "parameter" or any(found[i] for i in instruction.operand_ids)
    root = next(i for i in entry.instructions if i.id == entry.root_id)
    return tuple(found[i] for i in root.operand_ids) if root.opcode == "tuple" else (found[root.id],)


@dataclass(frozen=True)
class ConstantResults:
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

    def dropped(self) -> ConstantResults:
        """The same without values."""
        return replace(self, values={})


def constants_of(fn: Any, seen: GraphView, *, batched: bool | None, training: bool) -> ConstantResults:
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
    return ConstantResults(
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
