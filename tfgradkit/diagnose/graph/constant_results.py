"""Which results of a function depend on no argument, proven for one sample: by Grappler, and by XLA's optimizations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from ...graph.flops import product_flops
from ...graph.grappler import frozen, optimized
from .equal_results import random_tensors
from .graph_view import GraphView, spec_of_leaf, view

# XLA instructions that compute nothing.
_NO_WORK = frozenset({"parameter", "constant", "tuple", "get-tuple-element", "bitcast"})
# XLA instructions whose results change by themselves.
_STATEFUL = frozenset({"rng", "rng-get-and-update-state", "infeed", "recv", "custom-call"})


@dataclass(frozen=True)
class ConstantResults:
    """The constant results and the work of a function for one sample; where it is not batched, for its shapes.

    Attributes:
        values: results that depend on no argument, by position; batched, of a batch of one.
        assumed: whether they are known for one sample, and assumed for the others.
        flops: of matrix products, before and after simplification; None where a size is not known.
        instructions: the number that XLA leaves; None where it wasn't asked, or can't compile the function.
    """

    values: dict[int, np.ndarray]
    assumed: bool
    flops: tuple[int, int] | None = None
    instructions: int | None = None

    def without_values(self) -> ConstantResults:
        """The same work, no constant results."""
        return replace(self, values={})


def constants_of(fn: Any, seen: GraphView, *, batched: bool | None, training: bool) -> ConstantResults:
    """The constant results of ``fn``, whose trace is ``seen``.

    Raises:
        GraphError: TensorFlow can't freeze the function.
    """
    one = _one_sample(fn, seen, batched=batched, training=training)
    plain = frozen(one.concrete, lower_control_flow=False)
    names = [tensor.name for tensor in (*plain.inputs, *plain.outputs)]
    definition = optimized(plain.graph, names)
    inputs = {tensor.op.name for tensor in plain.inputs}
    varying = _varying_ops(definition, inputs)
    constant = {i for i, tensor in enumerate(plain.outputs) if tensor.op.name not in varying}
    has_sizes = all(tensor.shape.is_fully_defined() for tensor in plain.inputs)
    program = compiled(plain) if has_sizes else None
    if program is not None:
        constant |= {i for i, varying in enumerate(program.varying) if not varying}
    values = {i: tensor.numpy() for i, tensor in enumerate(_run(plain, one)) if i in constant}
    flops = _flops(plain, definition, inputs) if has_sizes else None
    return ConstantResults(values, one is not seen, flops, None if program is None else program.instructions)


def _one_sample(fn: Any, seen: GraphView, *, batched: bool | None, training: bool) -> GraphView:
    """The function for a batch of one, where the batch's size is not known."""
    if not seen.source.batched or all(t.shape.is_fully_defined() for t in seen.inputs):
        return seen
    arguments = tf.nest.map_structure(
        lambda leaf: leaf if spec_of_leaf(leaf) is None else _one_sample_spec(leaf), seen.arguments
    )
    return view(fn, *arguments, batched=batched, training=training)


def _one_sample_spec(leaf: Any) -> tf.TensorSpec:
    spec = spec_of_leaf(leaf)
    assert spec is not None
    shape = [1, *spec.shape[1:]] if spec.shape.rank and spec.shape[0] is None else spec.shape
    return tf.TensorSpec(shape, spec.dtype, spec.name)


def _varying_ops(definition: Any, inputs: set[str]) -> set[str]:
    """The ops of a GraphDef that depend on one of ``inputs``, or on a stateful op."""
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(definition, name="")
    varying: set[str] = set()
    for operation in graph.get_operations():  # in the order of the graph: inputs first
        takes_varying = any(tensor.op.name in varying for tensor in operation.inputs)
        if takes_varying or operation.name in inputs or operation.op_def.is_stateful:
            varying.add(operation.name)
    return varying


def _run(plain: Any, one: GraphView) -> list[tf.Tensor]:
    return [tensor for tensor in tf.nest.flatten(plain(*random_tensors(one))) if tensor is not None]


def _flops(plain: Any, definition: Any, inputs: set[str]) -> tuple[int, int] | None:
    try:
        return product_flops(plain.graph.as_graph_def(), inputs), product_flops(definition, inputs)
    except (TypeError, ValueError):  # a size that is not known
        return None


@dataclass(frozen=True)
class XlaProgram:
    """A function after XLA's optimizations.

    Attributes:
        instructions: the number that is left.
        varying: for each result, whether it depends on an argument.
    """

    instructions: int
    varying: tuple[bool, ...]


def compiled(concrete: Any) -> XlaProgram | None:
    """A concrete function without variables as XLA optimizes it; None where XLA can't compile it.

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
        _varying_results(entry) if entry is not None and not opcodes & _STATEFUL else (True,) * len(concrete.outputs)
    )
    if len(varying) != len(concrete.outputs):
        return None
    left = sum(1 for c in module.computations for i in c.instructions if i.opcode not in _NO_WORK | {"fusion"})
    return XlaProgram(left, varying)


def _varying_results(entry: Any) -> tuple[bool, ...]:
    """For each result of a computation, whether it depends on a parameter."""
    varying: dict[int, bool] = {}
    for instruction in entry.instructions:  # operands come first
        takes_varying = any(varying[i] for i in instruction.operand_ids)
        varying[instruction.id] = instruction.opcode == "parameter" or takes_varying
    root = next(i for i in entry.instructions if i.id == entry.root_id)
    return tuple(varying[i] for i in root.operand_ids) if root.opcode == "tuple" else (varying[root.id],)
