"""What stands in the way of differentiating a function: ops without a gradient, of either order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from ...graph.gradient import add_gradient
from ...graph.view import GraphView
from ...rules.operations import between
from ...rules.registry import ABSENT, entry
from ...rules.silent import SILENT_OPS
from . import remedies
from .cuts import cuts
from .executing import ONCE, not_vectorized, without_kernel
from .found import Obstacle
from .look import Look, is_transparent

_FAILURES = (LookupError, NotImplementedError, ValueError, TypeError, AttributeError)
_WHOLE = "the derivative ends here: it is zero or None"
_PART = "its own derivative is zero, so it has no part in that of the result"


def in_function(look: Look) -> Iterator[Obstacle]:
    """What stands in the way in the function itself."""
    yield from _without_rule(look, look.way, 1)
    for cut in cuts(look.seen.graph.get_operations(), look.xs, look.ys):
        text = _WHOLE if cut.whole else _PART
        yield look.obstacle("cut", cut.operation, 1, text, remedies.for_cut(cut.operation.type), fails=cut.whole)
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
            text, remedy = "TensorFlow has no gradient for it", remedies.for_no_gradient(operation.type)
            yield look.obstacle("no gradient", operation, order, text, remedy)
        elif operation.type in SILENT_OPS:
            text = "TensorFlow registers it as not differentiable, although it is, and would leave it out in silence"
            yield look.obstacle("left out", operation, order, text, remedies.for_left_out(operation.type))


def _once(look: Look) -> Iterator[Obstacle]:
    """Ops whose gradient has none, and no error says so."""
    for operation in look.way:
        if operation.type in ONCE:
            text = "TensorFlow differentiates it once: its part of a second derivative is lost in silence"
            yield look.obstacle("left out", operation, 2, text, remedies.for_left_out("PyFunc"))


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
        remedy = remedies.for_failing_gradient(operation.type, message)
        yield look.obstacle("no gradient", operation, order, text, remedy)


def _gradient_fails(seen: GraphView, operation: Any) -> bool:
    try:
        add_gradient(seen, list(operation.outputs), list(operation.inputs))
    except _FAILURES:
        return True
    return False
