"""Making matrix products canonical: weights that are used transposed are stored transposed.

The compiler makes a kernel of a product whose left operand's last axis meets the right operand's
first; other products would call into a run-time library that the C library doesn't have. Reverse
mode multiplies by transposed weights, so their transposition moves into the constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ..graph.flops import PRODUCTS


def canonicalize(graph: Any) -> Any:
    """A copy of the GraphDef ``graph`` with constants transposed ahead of time; same values."""
    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph)
    nodes = {node.name: node for node in result.node}
    added: dict[str, Any] = {}
    for node in result.node:
        for side, flag in enumerate(PRODUCTS.get(node.op, ())):
            source = constant_behind(node.input[side], nodes) if node.attr[flag].b else None
            if source is not None:
                node.input[side] = _transposed(source, added)
                node.attr[flag].b = False
    result.node.extend(added.values())
    return result


def constant_behind(name: str, nodes: dict[str, Any]) -> Any | None:
    """The Const that ``name`` hands on, looking through Identity."""
    node = nodes.get(name.split(":")[0])
    while node is not None and node.op == "Identity":
        node = nodes.get(node.input[0].split(":")[0])
    return node if node is not None and node.op == "Const" else None


def _transposed(constant: Any, added: dict[str, Any]) -> str:
    name = f"{constant.name}/transposed"
    if name not in added:
        value = np.swapaxes(tf.make_ndarray(constant.attr["value"].tensor), -1, -2)
        node = tf.compat.v1.NodeDef(name=name, op="Const")
        node.attr["dtype"].CopyFrom(constant.attr["dtype"])
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        added[name] = node
    return name
