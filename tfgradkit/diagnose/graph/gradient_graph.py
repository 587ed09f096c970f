"""The gradient of a traced function, added to its own graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...op_gradients import ops as _rules  # noqa: F401  registers what second order needs
from .graph_view import GraphView


@dataclass(frozen=True)
class GradientGraph:
    """The additions of a gradient to a graph.

    Attributes:
        partials: one for each x, None where there is no connection.
        operations: the new ops, in their order.
    """

    partials: list[Any]
    operations: list[Any]


def add_gradient(
    seen: GraphView, ys: Sequence[Any], xs: Sequence[Any], seeds: Sequence[Any] | None = None, stops: Sequence[Any] = ()
) -> GradientGraph:
    """Adds Σ uᵀ ∂y/∂x for each x to the graph of ``seen``.

    Args:
        seen: the traced function.
        ys, xs: tensors of its graph; for a variable, the placeholder of its handle.
        seeds: the u; ones, if left out.
        stops: tensors through which no gradient goes.

    Raises:
        LookupError, NotImplementedError, ValueError, TypeError: from TensorFlow's gradients.
    """
    graph = seen.graph
    before = len(graph.get_operations())
    with graph.as_default():
        found = tf.gradients(list(ys), list(xs), grad_ys=seeds, stop_gradients=list(stops))
        partials = [tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g for g in found]
    return GradientGraph(partials, graph.get_operations()[before:])


def variables_of(seen: GraphView, wanted: Sequence[Any]) -> dict[str, Any]:
    """By name, the placeholders of the handles of those variables of ``wanted`` that the graph uses."""
    kept = {id(variable.handle) for variable in wanted}
    return {
        variable.name: seen.graph.get_tensor_by_name(f"{placeholder}:0")
        for placeholder, variable in seen.variables.items()
        if id(variable.handle) in kept
    }
