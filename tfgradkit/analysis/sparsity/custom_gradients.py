"""Functions that ops call, loops, branches, and gradients that users replace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.emit import inlined
from ...graph.fold import KnownValues
from .domain import Dependence, Flow, UnknownSets, rule, static_shape
from .index_sets import IndexSets

# A loop that moves elements along needs as many rounds as they are many: then all of it is dense.
_ROUNDS = 8


@rule("PartitionedCall", "StatefulPartitionedCall", "StatelessPartitionedCall", "RemoteCall")
def call(flow: Flow, operation: Any) -> Dependence:
    """The function, for what it is called with."""
    body = _body(operation, "f")
    if any(static_shape(inner) is None for inner in body.inputs):
        return _written_out(flow, operation, body)
    return _through(flow, body, operation.inputs, [flow.raw(t) for t in operation.inputs], len(operation.outputs))


@rule("If", "StatelessIf", "Case", "StatelessCase")
def branches(flow: Flow, operation: Any) -> Dependence:
    """The union of all branches."""
    names = ("then_branch", "else_branch")
    bodies = (
        [_body(operation, name) for name in names]
        if operation.type.endswith("If")
        else [_graph(operation, branch.name) for branch in operation.node_def.attr["branches"].list.func]
    )
    inputs = operation.inputs[1:]
    found = [flow.raw(t) for t in inputs]
    results = [_through(flow, body, inputs, found, len(operation.outputs)) for body in bodies]
    joined = results[0]
    for other in results[1:]:
        joined = [flow.either(a, b) for a, b in zip(joined, other, strict=True)]
    return joined


@rule("While", "StatelessWhile")
def loop(flow: Flow, operation: Any) -> Dependence:
    """Round after round, until nothing is added.

    Raises:
        Unknown: that takes many rounds.
    """
    body = _body(operation, "body")
    found: list[np.ndarray | None] = [flow.raw(t) for t in operation.inputs]
    for _ in range(_ROUNDS):
        after = _through(flow, body, None, found, len(found))
        joined = [flow.either(a, b) for a, b in zip(found, after, strict=True)]
        if all(_same(a, b) for a, b in zip(found, joined, strict=True)):
            return found
        found = joined
    raise UnknownSets


@rule("custom gradient")
def custom_gradient(flow: Flow, operation: Any) -> Dependence:
    """The gradient that was put in place of TensorFlow's, read off its own graph.

    It is linear in what comes from behind, so what it depends on there is the transpose of the pattern.
    """
    inputs = [t for t in operation.inputs if t.dtype.is_floating and flow.depends(t)]
    outputs = [t for t in operation.outputs if t.dtype.is_floating]
    if any(static_shape(t) is None for t in [*inputs, *outputs]):
        raise UnknownSets
    counts = [t.shape.num_elements() for t in outputs]
    slopes, inner = _replaced(flow, operation.graph, inputs, outputs, counts)
    # Rows: elements of an input; columns: elements of all outputs.
    found: Any = None
    for tensor, slope in zip(inputs, slopes, strict=True):
        if slope is not None and inner.depends(slope):
            pattern = inner.sets.rows(inner.numbers(slope)).tocoo()
            numbers = np.ravel(flow.numbers(tensor))[pattern.row]
            found = flow.either(found, flow.sets.grouped(numbers, pattern.col, sum(counts)))
    if found is None:
        return [None] * len(operation.outputs)
    parts = iter(np.split(found, np.cumsum(counts)[:-1]))
    return [next(parts).reshape(static_shape(t)) if t.dtype.is_floating else None for t in operation.outputs]


def _written_out(flow: Flow, operation: Any, body: Any) -> Dependence:
    """A function that was traced for any batch: its ops once more, for the shapes it is called with."""
    graph = operation.graph
    before = len(graph.get_operations())
    with graph.as_default():
        results = inlined(body, list(operation.inputs))
    flow.walk(graph.get_operations()[before:])
    return [flow.raw(result) for result in results[: len(operation.outputs)]]


def _replaced(flow: Flow, graph: Any, inputs: Any, outputs: Any, counts: Sequence[int]) -> tuple[Any, Flow]:
    """The gradients of ``inputs``, and the walk from those of ``outputs`` to them."""
    before = len(graph.get_operations())
    try:
        with graph.as_default():
            seeds = [tf.compat.v1.placeholder(t.dtype, t.shape) for t in outputs]
            slopes = tf.gradients(outputs, inputs, grad_ys=seeds)
            slopes = [None if s is None else tf.convert_to_tensor(s) for s in slopes]
    except Exception as error:
        # Whatever a user's gradient raises: where the derivative is taken, it does so again.
        raise UnknownSets from error
    inner = Flow(IndexSets(sum(counts)), flow.constants)
    for seed, numbers in zip(seeds, np.split(inner.sets.singles(), np.cumsum(counts)[:-1]), strict=True):
        inner.put(seed, numbers.reshape(static_shape(seed)))
    inner.walk(graph.get_operations()[before:])
    return slopes, inner


def _through(
    flow: Flow, body: Any, given: Any, found: Sequence[np.ndarray | None], count: int
) -> list[np.ndarray | None]:
    """What the first ``count`` results of a function depend on, where its arguments depend on ``found``."""
    # Constants of their own: the next call of the same function may be with others.
    inner = Flow(flow.sets, KnownValues())
    for position, (argument, numbers) in enumerate(zip(body.inputs, found, strict=True)):
        inner.put(argument, numbers)
        # What a loop passes changes from round to round; what a function is called with does not.
        if given is not None and not flow.depends(given[position]):
            inner.constants.put(argument, flow.constants.value(given[position]))
    inner.walk(body.get_operations())
    # A gradient taken of the call meanwhile has added outputs to the graph, behind those of the op.
    return [inner.raw(result) for result in body.outputs[:count]]


def _body(operation: Any, attribute: str) -> Any:
    return _graph(operation, operation.node_def.attr[attribute].func.name)


def _graph(operation: Any, name: str) -> Any:
    function = operation.graph._get_function(name)
    graph = getattr(function, "graph", None)
    if graph is None:
        raise UnknownSets
    return graph


def _same(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.shape == second.shape and bool((first == second).all())
