"""Ops at which derivatives end although numbers go on: rounding, argmax, comparisons, casts to whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...rules.operations import LOOPS, called_graphs, carries, leading_inputs
from ...rules.registry import entry
from ...rules.silent import SILENT_OPS

# The derivative of a step function is zero wherever it exists: TensorFlow's rules say None, or zeros.
_STEPS = frozenset({"Round", "Rint", "Floor", "Ceil", "Sign", "FloorDiv", "TruncateDiv"})
_ROUNDING = frozenset({"Round", "Rint"})
_COMPARISONS = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"})
# What nobody takes for a part of the derivative: stopped by intent, or sizes and constants.
_INTENDED = frozenset(
    {"StopGradient", "PreventGradient", "Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "VariableShape"}
)
_FIRST_INPUT = {"If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1}


@dataclass(frozen=True)
class Cut:
    """An op where the derivative by an x ends.

    Attributes:
        operation: itself, perhaps in a function.
        whole: whether a result depends on x by such ops alone, so that its derivative is None or zero.
    """

    operation: Any
    whole: bool


def cuts(operations: Sequence[Any], xs: Iterable[Any], ys: Iterable[Any]) -> list[Cut]:
    """Where the derivatives of ``ys`` by ``xs`` end, for each pair of them.

    Where another way leads from x to y, only rounding is told: comparisons and indices choose among derivatives, and
    x - floor(x) has the derivative that one expects.
    """
    found: dict[Any, bool] = {}
    sources = list(xs)
    for y in ys:
        needed = _by_value(operations, {y.ref()})
        for x in sources:
            smooth, ends = _walked(needed, {x.ref()})
            whole = y.ref() not in smooth
            if whole and any(op.type not in _COMPARISONS for op in ends):
                ends = [op for op in ends if op.type not in _COMPARISONS]
            for op in ends:
                if whole or op.type in _ROUNDING:
                    found[op] = found.get(op, False) or whole
    return [Cut(op, whole) for op, whole in found.items()]


def _by_value(operations: Sequence[Any], wanted: set[Any]) -> list[Any]:
    """The ops that the values of ``wanted`` come from, but for what is stopped by intent."""
    found = []
    for operation in reversed(operations):
        if operation.type not in _INTENDED and any(t.ref() in wanted for t in operation.outputs):
            found.append(operation)
            wanted |= {t.ref() for t in leading_inputs(operation, wanted)}
    return found[::-1]


def _walked(operations: Sequence[Any], smooth: set[Any]) -> tuple[set[Any], list[Any]]:
    """What depends on ``smooth`` with a derivative, and the ops where that ends."""
    ends: list[Any] = []
    for operation in operations:
        if not any(t.ref() in smooth for t in operation.inputs):
            continue
        graphs = called_graphs(operation)
        if graphs:
            for graph in graphs:
                outputs, inner = _inside(operation, graph, smooth)
                smooth |= outputs
                ends += [op for op in inner if op not in ends]
        elif _leads_on(operation):
            smooth |= {t.ref() for t in operation.outputs if carries(t.dtype)}
        else:
            ends.append(operation)
    return smooth, ends


def _inside(operation: Any, graph: Any, smooth: set[Any]) -> tuple[set[Any], list[Any]]:
    """Which results of a call or loop have a derivative, and where it ends in there."""
    if operation.type in LOOPS:  # what one turn makes of a variable, the next one gives to others
        entering = {t.ref() for t in graph.inputs if carries(t.dtype)}
    else:
        given = list(operation.inputs)[_FIRST_INPUT.get(operation.type, 0) :]
        entering = {inner.ref() for outer, inner in zip(given, graph.inputs, strict=False) if outer.ref() in smooth}
    needed = _by_value(graph.get_operations(), {t.ref() for t in graph.outputs if carries(t.dtype)})
    inside, ends = _walked(needed, entering)
    pairs = zip(operation.outputs, graph.outputs, strict=False)
    return {outer.ref() for outer, inner in pairs if inner.ref() in inside and carries(outer.dtype)}, ends


def _leads_on(operation: Any) -> bool:
    """Whether derivatives go through; where an op has no rule, or wrongly none, that is another finding."""
    carrying = any(carries(t.dtype) for t in operation.outputs)
    stopped = operation.type in _STEPS or (entry(operation.type) is None and operation.type not in SILENT_OPS)
    return carrying and not stopped
