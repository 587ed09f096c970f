"""A traced function as a graph of constants and ops alone, with matrix products that the compiler makes kernels of.

1. :func:`freeze`: variables become constants, and calls of functions their bodies.
2. :func:`canonicalize`: weights that are used transposed are stored transposed. The compiler makes a kernel of a
   product whose left operand's last axis meets the right operand's first; other products would call a run-time
   library that the C library doesn't have. Reverse mode multiplies by transposed weights.
3. :func:`pad_products`: weights get columns of zeros, and the products lose these columns again; no sum changes. The
   kernels go over the columns of the right operand a vector at a time, and over the rest one number at a time: six
   columns cost more than eight.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from ....errors import ExportError, ExternalError, GraphError
from ....graph.flops import PRODUCTS
from ....graph.grappler import CONTROL_FLOW
from ....graph.grappler import frozen as frozen_function
from .substitutes import substituted

# From this many columns on, the columns beside full vectors no longer count.
_WIDE = 64
# Of a StridedSlice: the first index stands for all axes but the last one, whose slice begins at its first element.
_MASKS = {"ellipsis_mask": 1, "begin_mask": 2, "end_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}


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
    concrete = _traced(function, arguments)
    try:
        frozen = substituted(frozen_function(concrete, lower_control_flow=False))
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


def _traced(function: Any, arguments: dict[str, tf.TensorSpec]) -> Any:
    """Branches and loops are traced as for XLA, whose gradients keep no lists of unknown length.

    A function that calls Python isn't traced for XLA at all. Traced in the other way its ops are found, with layers.
    """
    for compiled in (True, False):
        traced = tf.function(lambda **kw: _identities(function(**kw)), autograph=False, jit_compile=compiled)
        with suppress(*((ExternalError,) if compiled else ())):
            return traced.get_concrete_function(**arguments)
    raise AssertionError("the second trace returns or raises")


def _identities(results: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """An op of its own for each result: it may be an argument, or the same tensor as another result."""
    return {name: tf.identity(tensor) for name, tensor in results.items()}


def has_control_flow(graph: Any) -> bool:
    """Whether a GraphDef has loops or branches."""
    nodes = (*graph.node, *(node for function in graph.library.function for node in function.node_def))
    return any(node.op in CONTROL_FLOW for node in nodes)


def canonicalize(graph: Any) -> Any:
    """A copy of the GraphDef ``graph`` with constants transposed ahead of time; its results have the same values.

    The compiler makes a kernel of a product with a right side as it is, and a step of a product with a transposed one,
    which the engine's own kernels then do: small weights become the first, others the second.
    """
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph)
    nodes = {node.name: node for node in result.node}
    added: dict[str, Any] = {}
    single = _single_rows(graph)
    for node in result.node:
        for side, flag in enumerate(PRODUCTS.get(node.op, ())):
            source = constant_behind(node.input[side], nodes)
            wanted = side == 1 and source is not None and _numbers(source) >= ENGINE_FROM
            if source is not None and node.attr[flag].b != wanted:
                node.input[side] = _transposed(source, added)
                node.attr[flag].b = wanted
            if wanted and node.name in single and _numbers(source) >= TWO_ROWS_FROM:
                _make_two_rows(node, added)
    result.node.extend(added.values())
    return result


def _single_rows(definition: Any) -> set[str]:
    """The names of products whose left side is one row."""
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(definition, name="")
    products = [op for op in graph.get_operations() if op.type == "MatMul" and not op.get_attr("transpose_a")]
    return {op.name for op in products if op.inputs[0].shape.rank == 2 and op.inputs[0].shape[0] == 1}


def _make_two_rows(product: Any, added: dict[str, Any]) -> None:
    """Makes ``product`` the first row of a product with a row of zeros below.

    The compiler makes a kernel of a product of one row, which needs the weight as it is; of two rows it is a step,
    which shares the packed weight with all others. Reading the weight takes the time, the second row next to none.
    """
    name, dtype = product.name, product.attr["T"].type
    rows, wide = (tf.compat.v1.NodeDef() for _ in range(2))
    rows.name, rows.op = f"{name}/rows", "Pad"
    rows.input.extend([product.input[0], _constant(f"{name}/below", np.array([[0, 1], [0, 0]], np.int32), added)])
    rows.attr["T"].type, rows.attr["Tpaddings"].type = dtype, tf.int32.as_datatype_enum
    wide.CopyFrom(product)
    wide.name, wide.input[0] = f"{name}/both", rows.name
    added |= {rows.name: rows, wide.name: wide}
    ends = [_constant(f"{name}/{end}", np.array(v, np.int32), added) for end, v in (("at", [0, 0]), ("size", [1, -1]))]
    product.Clear()
    product.name, product.op = name, "Slice"
    product.input.extend([wide.name, *ends])
    product.attr["T"].type, product.attr["Index"].type = dtype, tf.int32.as_datatype_enum


# From so many numbers on, a weight is multiplied by the engine's kernels.
ENGINE_FROM = 32 * 32
# From so many on, also where there is one row: below, the compiler's kernel is up to a tenth faster.
TWO_ROWS_FROM = 128 * 128


def _numbers(constant: Any) -> int:
    return math.prod(dim.size for dim in constant.attr["value"].tensor.tensor_shape.dim)


def _transposed(constant: Any, added: dict[str, Any]) -> str:
    name = f"{constant.name}/transposed"
    if name in added:
        return name
    return _constant(name, np.swapaxes(tf.make_ndarray(constant.attr["value"].tensor), -1, -2), added)


def pad_products(frozen: FrozenGraph, vector_bytes: int) -> FrozenGraph:
    """The same function with weights of full vectors of columns in its graph."""
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(frozen.graph)
    nodes = {node.name: node for node in result.node}
    added: dict[str, Any] = {}
    for node in [n for n in result.node if n.op in PRODUCTS]:
        weight = None if any(node.attr[f].b for f in PRODUCTS[node.op]) else constant_behind(node.input[1], nodes)
        if weight is not None:
            _pad(node, tf.make_ndarray(weight.attr["value"].tensor), vector_bytes, added)
    result.node.extend(added.values())
    return replace(frozen, graph=result)


def _pad(product: Any, weight: np.ndarray, vector_bytes: int, added: dict[str, Any]) -> None:
    """Makes ``product`` a slice of a padded product, which goes into ``added`` with its constants."""
    lanes = vector_bytes // weight.itemsize
    columns = weight.shape[-1]
    extra = -columns % lanes
    if columns == 1 or columns > _WIDE or not extra:
        return
    padded = np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(0, extra)])
    name = product.name
    wide = added[f"{name}/padded"] = tf.compat.v1.NodeDef()
    wide.CopyFrom(product)
    wide.name = f"{name}/padded"
    wide.input[1] = _constant(f"{name}/weight", padded, added)
    # result[..., :columns], whatever the rank: a weight may have fewer axes than its product.
    bounds = {"begin": [0, 0], "end": [0, columns], "strides": [1, 1]}
    indices = [_constant(f"{name}/{part}", np.array(v, np.int32), added) for part, v in bounds.items()]
    dtype = product.attr["T"].type
    product.Clear()
    product.name, product.op = name, "StridedSlice"
    product.input.extend([wide.name, *indices])
    product.attr["T"].type = dtype
    product.attr["Index"].type = tf.int32.as_datatype_enum
    for mask, bits in _MASKS.items():
        product.attr[mask].i = bits


def constant_behind(name: str, nodes: dict[str, Any]) -> Any | None:
    """The Const whose value ``name`` is, through any Identity; None where it is another op."""
    node = nodes.get(name.split(":")[0])
    while node is not None and node.op == "Identity":
        node = nodes.get(node.input[0].split(":")[0])
    return node if node is not None and node.op == "Const" else None


def _constant(name: str, value: np.ndarray, added: dict[str, Any]) -> str:
    node = added[name] = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return name
