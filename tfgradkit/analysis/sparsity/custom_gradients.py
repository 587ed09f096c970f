"""The pattern of an op whose gradient a user replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .domain import CUSTOM_GRADIENT, Dependence, Flow, UnknownSets, carries, rule, static_shape
from .index_sets import IndexSets

# A gradient may be the function itself, of more elements, without an end: that of a matrix exponential is.
_DEEPEST = 2


@rule(CUSTOM_GRADIENT)
def custom_gradient(flow: Flow, operation: Any) -> Dependence:
    """The pattern of the user's gradient, read off the gradient's own graph.

    The gradient is linear in the output gradients: its pattern by these is the transpose of the op's.
    """
    inputs = [t for t in operation.inputs if t.dtype.is_floating and flow.depends(t)]
    outputs = [t for t in operation.outputs if t.dtype.is_floating]
    differentiable = [*filter(flow.depends, operation.inputs), *filter(carries, operation.outputs)]
    depth = flow.depth + 1 if isinstance(flow, _GradientFlow) else 1
    if depth > _DEEPEST or any(static_shape(t) is None or not t.dtype.is_floating for t in differentiable):
        raise UnknownSets
    counts = [t.shape.num_elements() for t in outputs]
    inner = _GradientFlow(flow, sum(counts), depth)
    gradients = _user_gradients(inner, operation.graph, inputs, outputs, counts)
    # Rows: elements of an input; columns: elements of all outputs.
    found: Any = None
    for tensor, gradient in zip(inputs, gradients, strict=True):
        if gradient is not None and inner.depends(gradient):
            pattern = inner.sets.rows(inner.numbers(gradient)).tocoo()
            numbers = np.ravel(flow.numbers(tensor))[pattern.row]
            grouped = flow.sets.grouped(numbers, pattern.col, sum(counts))
            found = flow.join(found, grouped)
    if found is None:
        return [None] * len(operation.outputs)
    parts = iter(np.split(found, np.cumsum(counts)[:-1]))
    return [next(parts).reshape(static_shape(t)) if t.dtype.is_floating else None for t in operation.outputs]


class _GradientFlow(Flow):
    """The walk through a user's gradient, from the gradients by the results.

    Attributes:
        depth: of how many gradients, each within the one before.
    """

    def __init__(self, outer: Flow, count: int, depth: int) -> None:
        super().__init__(IndexSets(count), outer.constants)
        self.depth = depth


def _user_gradients(inner: Flow, graph: Any, inputs: Any, outputs: Any, counts: Sequence[int]) -> list[Any]:
    """The gradients by ``inputs``, to which ``inner`` walks from the gradients by ``outputs``."""
    before = len(graph.get_operations())
    try:
        with graph.as_default():
            seeds = [tf.compat.v1.placeholder(t.dtype, t.shape) for t in outputs]
            gradients = tf.gradients(outputs, inputs, grad_ys=seeds)
            gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
    except Exception as error:
        # A user's gradient may raise anything, and does so again where the derivative is taken.
        raise UnknownSets from error
    for seed, numbers in zip(seeds, np.split(inner.sets.singles(), np.cumsum(counts)[:-1]), strict=True):
        inner.put(seed, numbers.reshape(static_shape(seed)))
    inner.run(graph.get_operations()[before:])
    return gradients
