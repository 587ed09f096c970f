"""``audit``: what would stand in the way of derivatives of a function, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import tensorflow as tf

from ...derivatives.failures.foreign_errors import translating
from ...errors import SignatureError
from ...op_gradients.exact_functions import exact_functions
from ...sources.resolve import resolve
from ..graph.graph_view import view
from .audit_result import Audit, Obstacle
from .audited_graph import Look
from .eager import left_tensorflow
from .no_gradient import in_derivatives, in_function
from .xla_and_native import not_compiled, not_exported

AuditTarget = Literal["eager", "xla", "native"]
_TARGETS = ("eager", "xla", "native")
_WRT = ("inputs", "parameters")


@translating
def audit(
    fn: Any,
    *specs: Any,
    order: int = 1,
    target: AuditTarget = "eager",
    wrt: str = "inputs",
    batched: bool | None = None,
    training: bool = False,
) -> Audit:
    """What stands in the way of derivatives of a function, found in its graph and in that of its gradient.

    Nothing is run: the function is traced and differentiated, for ``order=2`` twice. Ops that no derivative passes
    through are no findings, nor is what ``tf.stop_gradient`` or a ``tf.custom_gradient`` does.

    Args:
        fn: a model, a layer or a function, as for an operator.
        specs: a ``tf.TensorSpec`` (or a value) for each argument; none for what knows its own.
        order: of the derivative: 1, or 2 for Hessians and for training with derivatives.
        target: where it is to run: "eager" (TensorFlow), "xla" (``jit_compile=True``), "native" (the C library).
        wrt: "inputs" for derivatives by all floating arguments, "parameters" for those by the trainable variables.
        batched: whether the first axis counts samples; None for the rule of each kind of function.
        training: what Keras layers are told.

    Returns:
        An :class:`~tfgradkit.Audit`: ``.ok`` where nothing fails; iterate it for every :class:`~tfgradkit.Obstacle`,
        ``print`` it, or take ``.as_dict()``.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: no specs for a function without its own, or another order or target.

    Example:
        >>> found = tgk.audit(lambda x: x * tf.round(x), tf.TensorSpec([2]))
        >>> [(obstacle.op, obstacle.kind) for obstacle in found]
        [('Round', 'cut')]
    """
    _check("order", order, (1, 2))
    _check("target", target, _TARGETS)
    _check("wrt", wrt, _WRT)
    source = resolve(fn, batched=batched, training=training)
    if target == "xla":  # traced for XLA, some loops tell how many turns they take at most
        source = replace(source, call=tf.function(source.call, autograph=False, jit_compile=True))
    with exact_functions():
        try:
            seen = view(source, *specs)
        except NotImplementedError as error:
            return Audit(source.name, order, target, (left_tensorflow(source.name, error),))
        look = Look.at(seen, order, target, wrt)
        obstacles = [*in_function(look), *in_derivatives(look)]
    if target == "xla":
        obstacles += not_compiled(look)
    if target == "native":
        obstacles += not_exported(seen, specs, 0 if any(obstacle.fails for obstacle in obstacles) else order)
    ordered = sorted(_merge(obstacles), key=lambda obstacle: (not obstacle.fails, obstacle.order))
    return Audit(source.name, order, target, tuple(ordered), look.incomplete)


def _check(name: str, value: Any, choices: Sequence[Any]) -> None:
    if isinstance(value, bool) or value not in choices:
        raise SignatureError("no such choice", subject=name, expected=" | ".join(map(repr, choices)), got=repr(value))


def _merge(obstacles: Iterable[Obstacle]) -> list[Obstacle]:
    """One obstacle for ops of a type in the same place; it fails where one of them does."""
    merged: dict[Any, Obstacle] = {}
    for obstacle in obstacles:
        key = (obstacle.kind, obstacle.op, obstacle.forward_op, obstacle.layer, obstacle.where)
        known = merged.get(key, replace(obstacle, count=0))
        merged[key] = replace(known, count=known.count + 1, fails=known.fails or obstacle.fails)
    return list(merged.values())
