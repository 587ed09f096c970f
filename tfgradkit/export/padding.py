"""Padding the columns of weights, so that a matrix product fills the processor's vectors.

The compiler's product kernels go over the columns of the right operand a vector at a time, and over
what is left one number at a time: six columns cost more than eight. Where the right operand is a
weight, it gets columns of zeros ahead of time, and the result loses them again; no sum changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from .canonical import PRODUCTS, constant_behind
from .freeze import FrozenGraph

# From this many columns on, what is left over no longer counts.
_WIDE = 64
# Of a StridedSlice: the first index stands for all axes but the last, which begins where it begins.
_MASKS = {"ellipsis_mask": 1, "begin_mask": 2, "end_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}


def pad_products(frozen: FrozenGraph, vector_bytes: int) -> FrozenGraph:
    """The same function, in whose graph weights have full vectors of columns."""
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
    """Turns ``product`` into a slice of a padded one, which it adds with its constants."""
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


def _constant(name: str, value: np.ndarray, added: dict[str, Any]) -> str:
    node = added[name] = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return name
