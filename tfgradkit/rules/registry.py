"""TensorFlow's registry of gradients: adding to it, and taking over what it holds in error.

``tf.RegisterGradient`` refuses an op that is registered already. A rule that is wrong, or whose own
gradient is missing, can only be replaced inside the registry, which is private: where that has
another form than in TensorFlow 2.21, the rule stays, and :mod:`tfgradkit.rules.silent` refuses its op.
An op that is registered as "not differentiable" can't be taken over at all, since a tape then
keeps none of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Rule = Callable[..., Any]


class _Absent:
    """There is no entry, not even one that says "not differentiable"."""

    def __repr__(self) -> str:
        return "no entry"


ABSENT = _Absent()


@dataclass(frozen=True)
class Shipped:
    """A rule that comes with tfgradkit.

    Attributes:
        rule: the function.
        replaces: what TensorFlow had: a rule, or ``ABSENT``.
    """

    rule: Rule
    replaces: Any


# By op; filled by the modules of rules, when :mod:`builtin` is imported.
SHIPPED: dict[str, Shipped] = {}


def register(*op_types: str) -> Callable[[Rule], Rule]:
    """Registers a rule for ops that have none; where TensorFlow has one, that stays."""

    def decorate(rule: Rule) -> Rule:
        for op_type in op_types:
            with suppress(KeyError):
                tf.RegisterGradient(op_type)(rule)
                SHIPPED[op_type] = Shipped(rule, ABSENT)
        return rule

    return decorate


def take_over(*op_types: str) -> Callable[[Rule], Rule]:
    """Registers a rule in place of TensorFlow's own. It may use the inputs that TensorFlow's rule uses, no others."""

    def decorate(rule: Rule) -> Rule:
        entries = _entries()
        for op_type in op_types:
            found = entries.get(op_type)
            if isinstance(found, dict) and callable(found.get("type")):
                SHIPPED[op_type] = Shipped(rule, found["type"])
                found["type"] = rule
        return rule

    return decorate


def by_formula(formula: Callable[..., tf.Tensor], xs: Sequence[tf.Tensor], upstream: tf.Tensor) -> list[Any]:
    """The gradient of an op from a formula for it, made of ops whose derivatives of every order are there."""
    with tf.GradientTape() as tape:
        tape.watch(xs)
        y = formula(*xs)
    return tape.gradient(y, list(xs), output_gradients=tf.cast(upstream, y.dtype))


def entry(op_type: str) -> Any:
    """The rule in force, None for "not differentiable", or ``ABSENT``."""
    found = _entries().get(op_type)
    return ABSENT if found is None else found["type"]


def _entries() -> dict[str, Any]:
    from tensorflow.python.framework.ops import gradient_registry

    return getattr(gradient_registry, "_registry", {})
