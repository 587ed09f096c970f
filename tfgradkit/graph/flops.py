"""Counting the work of a graph: the multiplications and additions of its matrix products."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import tensorflow as tf

# The flags that transpose an operand, by op.
PRODUCTS = {
    "MatMul": ("transpose_a", "transpose_b"),
    "BatchMatMulV2": ("adj_x", "adj_y"),
    "BatchMatMul": ("adj_x", "adj_y"),
}


def product_flops(definition: Any, inputs: Collection[str]) -> int:
    """2·m·n·k of every product in a GraphDef that depends on one of the ops ``inputs``, summed.

    Elementwise work isn't counted, nor are products of constants. Sizes have to be known.
    """
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(definition, name="")
    varying: set[str] = set()
    total = 0
    for op in graph.get_operations():  # in the order of the graph: inputs first
        if op.name in inputs or any(tensor.op.name in varying for tensor in op.inputs):
            varying.add(op.name)
            total += _product(op) if op.type in PRODUCTS else 0
    return total


def _product(op: Any) -> int:
    left, right = op.inputs[0].shape.as_list(), op.outputs[0].shape.as_list()
    depth = left[-2] if op.get_attr(PRODUCTS[op.type][0]) else left[-1]
    return 2 * math.prod(right) * depth
