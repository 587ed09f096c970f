"""Obstacles to differentiating a function: ops without a gradient of either order, and ops at which derivatives end.

Numbers go on behind the latter: rounding, argmax, comparisons, casts to whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import tensorflow as tf

from ...graph.dependence import between, leading
from ...graph.interpret import Abstract, in_order
from ...graph.ops import COMPARISONS, ROUNDING, STEPS, carries
from ...op_gradients.refused_gradients import SILENT_OPS
from ...op_gradients.registry import ABSENT, entry
from ..graph.gradient_graph import add_gradient
from ..graph.graph_view import GraphView
from . import audit_result
from .audit_result import Obstacle
from .audited_graph import Look, is_transparent
from .eager import ONCE, not_vectorized, without_kernel

# What is said of a tensor that has a derivative by what is followed.
Smooth = Literal[True]


@dataclass(frozen=True)
class LostGradient:
    """An op where the derivative by an x ends.

    Attributes:
        operation: itself, perhaps in a function.
        whole: whether a result depends on x by such ops alone, so that its derivative is None or zero.
    """

    operation: Any
    whole: bool


def cuts(operations: Sequence[Any], xs: Sequence[Any], ys: Iterable[Any]) -> list[LostGradient]:
    """Where the derivatives of ``ys`` by ``xs`` end, for each pair of them.

    Where another way leads from x to y, only rounding is told: comparisons and indices choose among derivatives, and
    x - floor(x) has the derivative that one expects.
    """
    found: dict[Any, bool] = {}
    for y in ys:
        walks = [_Smooth(operations, x, y) for x in xs]
        reached = any(walk.value(y) for walk in walks)
        for walk in walks:
            whole = not walk.value(y)
            # A mask chooses; it is the one way only where there is no other, of any x.
            chooses = reached or any(op.type not in COMPARISONS for op in walk.ends)
            for op in walk.ends:
                if (whole and not (chooses and op.type in COMPARISONS)) or op.type in ROUNDING:
                    found[op] = found.get(op, False) or whole
    return [LostGradient(op, whole) for op, whole in found.items()]


class _Smooth(Abstract[Smooth]):
    """What has a derivative by x, among what y is made of.

    Attributes:
        ends: the ops where the derivative ends.
    """

    def __init__(self, operations: Sequence[Any], x: Any, y: Any) -> None:
        super().__init__({x.ref(): True})
        self.ends: dict[Any, None] = {}
        self.run(operations, [y])

    def order(self, operations: list[Any], outputs: Sequence[Any]) -> Iterable[Any]:
        """The ops that the values of ``outputs`` come from, but for what is stopped by intent."""
        wanted = [tensor for tensor in outputs if carries(tensor.dtype)]
        return leading(in_order(operations), wanted, lambda _: True)

    def op(self, operation: Any, inputs: list[Smooth | None]) -> Sequence[Smooth | None]:
        """All results have a derivative, or it ends."""
        if _leads_on(operation):
            return [True if carries(tensor.dtype) else None for tensor in operation.outputs]
        self.ends[operation] = None
        return [None] * len(operation.outputs)

    def either(self, first: Smooth, second: Smooth) -> Smooth:
        """It has one."""
        return True

    def enter(self, caller: Any, graph: Any, inputs: Sequence[Smooth | None]) -> Self:
        """With ends of its own."""
        inner = super().enter(caller, graph, inputs)
        inner.ends = {}
        return inner

    def leave(self, inner: Self, caller: Any, graph: Any) -> None:
        """Where derivatives end in the function."""
        self.ends |= inner.ends


def _leads_on(operation: Any) -> bool:
    """Whether derivatives go through; where an op has no rule, or wrongly none, that is another finding."""
    carrying = any(carries(t.dtype) for t in operation.outputs)
    stopped = operation.type in STEPS or (entry(operation.type) is None and operation.type not in SILENT_OPS)
    return carrying and not stopped


_FAILURES = (LookupError, NotImplementedError, ValueError, TypeError, AttributeError)
_WHOLE = "the derivative ends here: it is zero or None"
_PART = "its own derivative is zero, so it has no part in that of the result"


def in_function(look: Look) -> Iterator[Obstacle]:
    """What stands in the way in the function itself."""
    yield from _without_rule(look, look.way, 1)
    for cut in cuts(look.seen.graph.get_operations(), look.xs, look.ys):
        text = _WHOLE if cut.whole else _PART
        yield look.obstacle("cut", cut.operation, 1, text, audit_result.for_cut(cut.operation.type), fails=cut.whole)
    if look.target == "eager":
        yield from without_kernel(look, look.way, 0)


def in_derivatives(look: Look) -> Iterator[Obstacle]:
    """What stands in the way in the gradient, and in the gradient of that."""
    ys, way = look.ys, look.way
    for order in range(1, look.order + 1):
        if not look.xs or not ys:
            return
        seeds = _ones(look, ys)
        try:
            gradient = add_gradient(look.seen, ys, look.xs, seeds, _ends(look, way))
        except _FAILURES as error:
            yield from _raised(look, way, order, error)
            return
        partials = [partial for partial in gradient.partials if partial is not None]
        look.results += partials
        yield from _executed(look, between(gradient.operations, seeds, partials), order)
        # A derivative of the next order goes through these ops, too.
        operations = look.seen.graph.get_operations()
        way = [op for op in between(operations, look.xs, partials) if op not in look.known]
        look.known |= set(look.seen.everywhere())
        ys = partials
        if order < look.order:
            yield from _without_rule(look, way, order + 1)
            yield from _once(look)


def _executed(look: Look, way: Sequence[Any], order: int) -> Iterator[Obstacle]:
    if look.target == "eager":
        yield from without_kernel(look, way, order)
    yield from not_vectorized(look, way, order)


def _without_rule(look: Look, way: Iterable[Any], order: int) -> Iterator[Obstacle]:
    for operation in way:
        if is_transparent(operation):
            continue
        if entry(operation.type) is ABSENT:
            text, remedy = "TensorFlow has no gradient for it", audit_result.for_no_gradient(operation.type)
            yield look.obstacle("no gradient", operation, order, text, remedy)
        elif operation.type in SILENT_OPS:
            text = "TensorFlow registers it as not differentiable, although it is, and would leave it out in silence"
            yield look.obstacle("left out", operation, order, text, audit_result.for_left_out(operation.type))


def _once(look: Look) -> Iterator[Obstacle]:
    """Ops whose gradient has none, and no error says so."""
    for operation in look.way:
        if operation.type in ONCE:
            text = "TensorFlow differentiates it once: its part of a second derivative is lost in silence"
            yield look.obstacle("left out", operation, 2, text, audit_result.for_left_out("PyFunc"))


def _ones(look: Look, ys: Sequence[Any]) -> list[Any]:
    with look.seen.graph.as_default():
        return [tf.ones_like(y) for y in ys]


def _ends(look: Look, way: Iterable[Any]) -> list[Any]:
    """Results of ops without a gradient, at which TensorFlow would give up."""
    return [
        t
        for op in way
        if op.graph is look.seen.graph and not is_transparent(op) and entry(op.type) is ABSENT
        for t in op.outputs
    ]


def _raised(look: Look, way: Sequence[Any], order: int, error: Exception) -> Iterator[Obstacle]:
    """The ops whose gradient raises an error, where that isn't because they have none, which was told before."""
    look.incomplete = f"the derivative of order {order} ends in an error there, so its own ops were not looked at"
    if any(not is_transparent(op) and entry(op.type) is ABSENT for op in way):
        return
    message = str(error).strip().split("\n", 1)[0][:200]
    failing = [op for op in way if op.graph is look.seen.graph and _gradient_fails(look.seen, op)]
    for operation in failing[-1:] or list(way)[-1:] or [y.op for y in look.ys[:1]]:
        text = f"its gradient fails: {message}"
        remedy = audit_result.for_failing_gradient(operation.type, message)
        yield look.obstacle("no gradient", operation, order, text, remedy)


def _gradient_fails(seen: GraphView, operation: Any) -> bool:
    try:
        add_gradient(seen, list(operation.outputs), list(operation.inputs))
    except _FAILURES:
        return True
    return False
