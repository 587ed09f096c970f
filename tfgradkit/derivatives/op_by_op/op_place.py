"""Where an op with a wrong gradient is, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...graph.gradient_names import differentiated
from ...graph.user_line import Location, is_copy, is_users, made_at
from ...sources.layer_results import layer_of
from .op_tape import TapedStep, own_rule
from .wrong_op import WrongOp


def placed(step: TapedStep, layer_names: Sequence[str], error: float) -> WrongOp:
    """The finding for an op whose gradient is off by ``error``, relative to what it should be."""
    operation, path = step.operation, [op.name for op in (*step.frame.callers, step.operation)]
    outermost = (step.frame.callers or (operation,))[0].graph
    forward = differentiated(outermost, path)
    line = made_at(operation) or (None if forward is None else made_at(forward))
    rule = own_rule(operation)
    written = None if rule is None else next(filter(None, _users_code(rule)), None)
    scope = "/".join(path)
    layer = layer_of(scope, layer_names)
    return WrongOp(
        op=_type(operation, rule),
        name=operation.name,
        error=error,
        where=None if line is None else str(line),
        code="" if line is None else line.code,
        layer=None if layer == scope else layer,
        gradient=None if written is None else str(written),
        forward_op=None if forward is None else forward.type,
    )


def is_users_rule(rule: Callable[..., Any]) -> bool:
    """Whether a gradient function is written in the user's own code."""
    return any(True for _ in _users_code(rule))


def _type(operation: Any, rule: Callable[..., Any] | None) -> str:
    return "tf.custom_gradient" if rule is not None and operation.type == "IdentityN" else str(operation.type)


def _users_code(rule: Callable[..., Any], depth: int = 4) -> Iterator[Location | None]:
    """Where the user's function begins, inside of what TensorFlow has made of it; None in AutoGraph's copy of it."""
    code = getattr(rule, "__code__", None)
    if code is not None and is_copy(code.co_filename):
        yield None
    elif code is not None and is_users(code.co_filename):
        yield Location(code.co_filename, code.co_firstlineno)
    elif depth:
        for cell in _cells(rule):
            if callable(cell):
                yield from _users_code(cell, depth - 1)


def _cells(rule: Callable[..., Any]) -> Iterator[Any]:
    for cell in getattr(rule, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
