"""Counting the work of a function: the multiplications and additions of its matrix products."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from .canonical import PRODUCTS
from .freeze import FrozenGraph


def count_flops(frozen: FrozenGraph) -> int:
    """2·m·n·k of every product in the graph that depends on an argument, summed.

    Elementwise work isn't counted, nor are products of constants, which the compiler does ahead.
    """
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(frozen.graph, name="")
    varying: set[str] = set()
    total = 0
    for op in graph.get_operations():  # in the order of the graph: inputs first
        if op.name in frozen.inputs.values() or any(tensor.op.name in varying for tensor in op.inputs):
            varying.add(op.name)
            total += _product(op) if op.type in PRODUCTS else 0
    return total


def _product(op: Any) -> int:
    left, right = op.inputs[0].shape.as_list(), op.outputs[0].shape.as_list()
    depth = left[-2] if op.get_attr(PRODUCTS[op.type][0]) else left[-1]
    return 2 * math.prod(right) * depth
