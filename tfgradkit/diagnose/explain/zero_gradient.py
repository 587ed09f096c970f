"""Where a gradient that is connected turns into zeros."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.ops import LOOPS, called_graphs
from ..trace_ops.recording import Step, steps_of
from .cut import Cut, carries
from .explanation import Cause
from .reachability import CONNECTED, Walk

_STEPS = frozenset({"Sign", "FloorDiv", "FloorMod", "Floor", "Round", "Rint", "Ceil"})
_CHOICES = frozenset(
    {"Select", "SelectV2", "Relu", "Relu6", "LeakyRelu", "Maximum", "Minimum", "ClipByValue", "Max", "Min", "If"}
    | {"StatelessIf", "Case", "StatelessCase", "MaxPool", "Merge", "Switch"}
)
_PRODUCTS = frozenset({"Mul", "MulNoNan", "MatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D", "RealDiv"})
Gradients = Callable[[Any, Sequence[Any]], list[Any]]


def zero_at(steps: Sequence[Step], walk: Walk, output: Any, gradients: Gradients | None) -> Cut:
    """The op next to ``output`` that gets a gradient and gives zeros to what the input influences."""
    alive = [(s, [t for t in s.inputs if _lives(walk, t)], [t for t in s.outputs if _lives(walk, t)]) for s in steps]
    alive = [(step, given, made) for step, given, made in alive if given and made]
    unique = {
        t.ref(): t for _, given, made in alive for t in (*given, *made) if t.dtype not in (tf.resource, tf.variant)
    }
    tensors = list(unique.values())
    found = _asked(gradients, output, tensors)
    moves = {t.ref(): _moves(g) for t, g in zip(tensors, found, strict=True)}
    for step, given, made in reversed(alive):
        if any(moves.get(t.ref()) for t in made) and not any(moves.get(t.ref()) for t in given):
            return _within(step, walk)
    return _within(alive[-1][0], walk) if alive else Cut("unused", Step("", (), ()))


def _asked(gradients: Gradients | None, output: Any, tensors: list[Any]) -> list[Any]:
    try:
        return gradients(output, tensors) if gradients is not None and tensors else [None] * len(tensors)
    except tf.errors.OpError:  # tf.py_function gives its gradient once
        return [None] * len(tensors)


def _lives(walk: Walk, tensor: Any) -> bool:
    return walk.value(tensor) == CONNECTED and carries(tensor.dtype)


def _moves(gradient: Any) -> bool:
    return gradient is not None and bool(np.any(tf.convert_to_tensor(gradient).numpy() != 0))


def _within(step: Step, walk: Walk) -> Cut:
    """The op itself, or inside a function the first on the way of those that are known for it."""
    if step.graph is None:
        return Cut(_cause(step), step, flat=True)
    within = walk.inside(step)
    ways = [s for s in steps_of(step.graph.get_operations()) if any(_lives(within, t) for t in s.inputs)]
    inner = [s for way in ways for s in _with_called(way) if s.type in _STEPS | _CHOICES | {"EagerPyFunc"}]
    return Cut(_cause(inner[0]), inner[0], (step,), flat=True) if inner else Cut("saturated", step, flat=True)


def _with_called(step: Step) -> Iterator[Step]:
    yield step
    for graph in called_graphs(step.operation) if step.type in LOOPS else ():
        for inner in steps_of(graph.get_operations()):
            yield from _with_called(inner)


def _cause(step: Step) -> Cause:
    if step.type == "EagerPyFunc":
        return "left_tensorflow"
    if step.type in _STEPS:
        return "not_differentiable"
    if step.type in _CHOICES:
        return "branch_not_taken"
    return "unused" if step.type in _PRODUCTS else "saturated"
