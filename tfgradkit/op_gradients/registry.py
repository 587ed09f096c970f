"""TensorFlow's registries of ops and of gradients: looking up, adding to them, and replacing what they hold.

``tf.RegisterGradient`` refuses an op that is registered already, and takes nothing back. A rule that is
wrong, or whose own gradient is missing, can only be replaced inside the registry, which is private: where
that has another form than in TensorFlow 2.21, TensorFlow's rule stays, and :mod:`refused_gradients` refuses its op.
Of an op that is registered as "not differentiable" a tape keeps neither inputs nor results: a rule for it has
only the gradients of the results.

The one file that touches ``gradient_registry`` and ``op_def_registry``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..errors import VersionError

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
        order: how many orders of derivatives are tested; None for every order.
        replaces: TensorFlow's entry: a rule, None for "not differentiable", or ``ABSENT``.
    """

    rule: Rule
    order: int | None
    replaces: Any


# By op; filled when ``op_gradients.ops`` is imported.
SHIPPED: dict[str, Shipped] = {}
_NUMBERS = frozenset(
    dtype.as_datatype_enum for dtype in (tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.complex64, tf.complex128)
)


def register(*op_types: str, order: int | None = None) -> Callable[[Rule], Rule]:
    """Registers a rule for ops that have none; a rule of TensorFlow's stays."""

    def decorate(rule: Rule) -> Rule:
        for op_type in op_types:
            with suppress(KeyError):
                tf.RegisterGradient(op_type)(rule)
                SHIPPED[op_type] = Shipped(rule, order, ABSENT)
        return rule

    return decorate


def take_over(*op_types: str, order: int | None = None) -> Callable[[Rule], Rule]:
    """Registers a rule in place of TensorFlow's own. It may use the inputs that TensorFlow's rule uses, no others."""

    def decorate(rule: Rule) -> Rule:
        with suppress(VersionError):
            for op_type in op_types:
                stock = entry(op_type)
                if callable(stock):
                    put(op_type, rule)
                    SHIPPED[op_type] = Shipped(rule, order, stock)
        return rule

    return decorate


def enable(*op_types: str, order: int | None = None) -> Callable[[Rule], Rule]:
    """Registers a rule for ops that are registered as "not differentiable"; it can use ``upstream`` alone."""

    def decorate(rule: Rule) -> Rule:
        with suppress(VersionError):
            for op_type in op_types:
                if entry(op_type) is None:
                    put(op_type, rule)
                    SHIPPED[op_type] = Shipped(rule, order, None)
        return rule

    return decorate


def withdraw(*op_types: str) -> None:
    """Takes away rules of TensorFlow's that only raise an error of Python: with none the error is the usual one."""
    with suppress(VersionError):
        for op_type in op_types:
            put(op_type, ABSENT)


def by_formula(formula: Callable[..., Any], xs: Sequence[tf.Tensor], upstream: Any) -> list[Any]:
    """The gradient of an op from a formula for it, written in ops that have derivatives of every order.

    Where the formula returns a tuple, ``upstream`` is a sequence as long.
    """
    with tf.GradientTape() as tape:
        tape.watch([x for x in xs if x.dtype.is_floating or x.dtype.is_complex])
        ys = formula(*xs)
    if isinstance(ys, tuple):
        pairs = [(y, u) for y, u in zip(ys, upstream, strict=True) if y is not None and u is not None]
        targets, seeds = [y for y, _ in pairs], [tf.cast(u, y.dtype) for y, u in pairs]
        return tape.gradient(targets, list(xs), output_gradients=seeds)
    return tape.gradient(ys, list(xs), output_gradients=tf.cast(upstream, ys.dtype))


def attribute(op: Any, name: str) -> Any:
    """An attribute of an op, text as ``str``."""
    value = op.get_attr(name)
    return value.decode() if isinstance(value, bytes) else value


def attributes(op: Any, *names: str) -> dict[str, Any]:
    """Attributes of an op by name, text as ``str``."""
    return {name: attribute(op, name) for name in names}


def definition(op_type: str) -> Any:
    """The OpDef of an op, the user's own libraries included; None for an unknown one."""
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(op_type)


def names() -> list[str]:
    """The ops that can be called from Python, sorted."""
    return sorted(name for name in dir(tf.raw_ops) if not name.startswith("_") and definition(name) is not None)


def carries(op_type: str) -> bool:
    """Whether an op takes, and gives, real or complex numbers."""
    op = definition(op_type)
    return all(any(_may_be_numbers(a, op) for a in arguments) for arguments in (op.input_arg, op.output_arg))


def _may_be_numbers(argument: Any, op: Any) -> bool:
    if argument.type:
        return argument.type in _NUMBERS
    name = argument.type_attr or argument.type_list_attr
    allowed = next(attr for attr in op.attr if attr.name == name).allowed_values.list.type
    return not allowed or not _NUMBERS.isdisjoint(allowed)


def entry(op_type: str) -> Any:
    """The rule in force, None for "not differentiable", or ``ABSENT``."""
    record = _entries().get(op_type)
    return ABSENT if record is None else record["type"]


def put(op_type: str, rule: Any) -> None:
    """Makes ``rule`` the op's entry: a rule, None for "not differentiable", or ``ABSENT`` for no entry.

    Raises:
        VersionError: TensorFlow's registry has another form than in 2.21, and there is an entry.
    """
    entries = _entries()
    if op_type not in entries and rule is not ABSENT:
        tf.RegisterGradient(op_type)(rule)
    elif rule is ABSENT:
        entries.pop(op_type, None)
    else:
        entries[op_type]["type"] = rule


def _entries() -> dict[str, Any]:
    from tensorflow.python.framework.ops import gradient_registry

    entries = getattr(gradient_registry, "_registry", None)
    # One entry is looked at: another thread may be adding to the rest.
    known = entries.get("MatMul") if isinstance(entries, dict) else None
    if isinstance(entries, dict) and isinstance(known, dict) and callable(known.get("type")):
        return entries
    raise VersionError(
        "TensorFlow's registry of gradients has another form",
        expected="that of TensorFlow 2.21",
        got=tf.__version__,
        hint="install tensorflow==2.21.*",
    )


def gradient_of(name: str) -> Rule:
    """The rule registered under ``name``; a ``tf.custom_gradient`` of a graph has such a name, too.

    Raises:
        LookupError: there is none.
    """
    rule = entry(name)
    if not callable(rule):
        raise LookupError(f"no gradient is registered for {name}")
    return rule
