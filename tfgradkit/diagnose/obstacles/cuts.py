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
    sources, ways = list(xs), _Ways()
    for y in ys:
        needed = ways.by_value(operations, {y.ref()})
        walks = [ways.walked(needed, {x.ref()}) for x in sources]
        reached = any(y.ref() in smooth for smooth, _ in walks)
        for smooth, ends in walks:
            whole = y.ref() not in smooth
            # A mask chooses; it is the one way only where there is no other, of any x.
            chooses = reached or any(op.type not in _COMPARISONS for op in ends)
            for op in ends:
                if (whole and not (chooses and op.type in _COMPARISONS)) or op.type in _ROUNDING:
                    found[op] = found.get(op, False) or whole
    return [Cut(op, whole) for op, whole in found.items()]


class _Ways:
    """Walks through graphs; what an op calls is asked once, since that is slow."""

    def __init__(self) -> None:
        self._called: dict[Any, list[Any]] = {}

    def by_value(self, operations: Sequence[Any], wanted: set[Any]) -> list[Any]:
        """The ops that the values of ``wanted`` come from, but for what is stopped by intent."""
        found = []
        for operation in reversed(operations):
            if operation.type not in _INTENDED and any(t.ref() in wanted for t in operation.outputs):
                found.append(operation)
                wanted |= {t.ref() for t in leading_inputs(operation, wanted)}
        return found[::-1]

    def walked(self, operations: Sequence[Any], smooth: set[Any]) -> tuple[set[Any], list[Any]]:
        """What depends on ``smooth`` with a derivative, and the ops where that ends."""
        ends: dict[Any, None] = {}
        for operation in operations:
            if not any(t.ref() in smooth for t in operation.inputs):
                continue
            if operation not in self._called:
                self._called[operation] = called_graphs(operation)
            for graph in self._called[operation]:
                outputs, inner = self._inside(operation, graph, smooth)
                smooth |= outputs
                ends |= dict.fromkeys(inner)
            if not self._called[operation] and _leads_on(operation):
                smooth |= {t.ref() for t in operation.outputs if carries(t.dtype)}
            elif not self._called[operation]:
                ends[operation] = None
        return smooth, list(ends)

    def _inside(self, operation: Any, graph: Any, smooth: set[Any]) -> tuple[set[Any], list[Any]]:
        """Which results of a call or loop have a derivative, and where it ends in there."""
        if operation.type in LOOPS:  # what one turn makes of a variable, the next one gives to others
            entering = {t.ref() for t in graph.inputs if carries(t.dtype)}
        else:
            given = list(operation.inputs)[_FIRST_INPUT.get(operation.type, 0) :]
            entering = {inner.ref() for outer, inner in zip(given, graph.inputs, strict=False) if outer.ref() in smooth}
        needed = self.by_value(graph.get_operations(), {t.ref() for t in graph.outputs if carries(t.dtype)})
        inside, ends = self.walked(needed, entering)
        pairs = zip(operation.outputs, graph.outputs, strict=False)
        return {outer.ref() for outer, inner in pairs if inner.ref() in inside and carries(outer.dtype)}, ends


def _leads_on(operation: Any) -> bool:
    """Whether derivatives go through; where an op has no rule, or wrongly none, that is another finding."""
    carrying = any(carries(t.dtype) for t in operation.outputs)
    stopped = operation.type in _STEPS or (entry(operation.type) is None and operation.type not in SILENT_OPS)
    return carrying and not stopped
