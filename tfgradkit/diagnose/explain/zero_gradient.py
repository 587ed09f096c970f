"""The op where a gradient that is connected turns into zeros."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from ...graph.ops import LOOPS, called_graphs
from ..trace_ops.recording import Step, steps_of
from .cut import Cut, carries
from .explanation import Cause
from .reachability import CONNECTED, Walk
from .seeded_gradients import Gradients, is_nonzero, seeded_gradients

_STEPS = frozenset({"Sign", "FloorDiv", "FloorMod", "Floor", "Round", "Rint", "Ceil"})
_CHOICES = frozenset(
    {"Select", "SelectV2", "Relu", "Relu6", "LeakyRelu", "Maximum", "Minimum", "ClipByValue", "Max", "Min", "If"}
    | {"StatelessIf", "Case", "StatelessCase", "MaxPool", "Merge", "Switch"}
)
_PRODUCTS = frozenset({"Mul", "MulNoNan", "MatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D", "RealDiv"})


def zero_at(steps: Sequence[Step], walk: Walk, output: Any, gradients: Gradients | None) -> Cut:
    """The last op before ``output`` whose results get a gradient, and whose inputs on the way get zeros."""
    ways = [(s, _connected(walk, s.inputs), _connected(walk, s.outputs)) for s in steps]
    ways = [(step, inputs, outputs) for step, inputs, outputs in ways if inputs and outputs]
    unique = {t.ref(): t for _, inputs, outputs in ways for t in (*inputs, *outputs)}
    tensors = [t for t in unique.values() if t.dtype not in (tf.resource, tf.variant)]
    nonzero = _with_gradient(gradients, output, tensors)
    for step, inputs, outputs in reversed(ways):
        if any(t.ref() in nonzero for t in outputs) and not any(t.ref() in nonzero for t in inputs):
            return _flat_op(step, walk)
    return _flat_op(ways[-1][0], walk) if ways else Cut("unused", Step("", (), ()))


def _with_gradient(gradients: Gradients | None, output: Any, tensors: list[Any]) -> set[Any]:
    """By ``ref()``, the tensors whose gradient is not zero for some output gradients."""
    if gradients is None or not tensors:
        return set()
    partials = seeded_gradients(gradients, output, tensors)
    count = len(tensors)
    return {tensors[i % count].ref() for i, gradient in enumerate(partials) if is_nonzero(gradient)}


def _connected(walk: Walk, tensors: Sequence[Any]) -> list[Any]:
    return [t for t in tensors if _is_connected(walk, t)]


def _is_connected(walk: Walk, tensor: Any) -> bool:
    return walk.value(tensor) == CONNECTED and carries(tensor.dtype)


def _flat_op(step: Step, walk: Walk) -> Cut:
    """The op itself; for a called function, the first op on the way inside that is known to be flat somewhere."""
    if step.graph is None:
        return Cut(_cause(step), step, flat=True)
    inner_walk = walk.inside(step)
    on_way = [s for s in steps_of(step.graph.get_operations()) if _connected(inner_walk, s.inputs)]
    inner = [s for way in on_way for s in _with_inner_steps(way) if s.type in _STEPS | _CHOICES | {"EagerPyFunc"}]
    return Cut(_cause(inner[0]), inner[0], (step,), flat=True) if inner else Cut("saturated", step, flat=True)


def _with_inner_steps(step: Step) -> Iterator[Step]:
    """The step, and those of the functions that a loop calls."""
    yield step
    for graph in called_graphs(step.operation) if step.type in LOOPS else ():
        for inner in steps_of(graph.get_operations()):
            yield from _with_inner_steps(inner)


def _cause(step: Step) -> Cause:
    if step.type == "EagerPyFunc":
        return "left_tensorflow"
    if step.type in _STEPS:
        return "not_differentiable"
    if step.type in _CHOICES:
        return "branch_not_taken"
    return "unused" if step.type in _PRODUCTS else "saturated"
