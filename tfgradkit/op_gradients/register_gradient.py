"""``register_gradient``: a rule of the user's for an op of TensorFlow, and ``registered_gradients``, the list of all.

A rule is what ``tf.RegisterGradient`` takes: from the op and the gradients of its results to the gradients of
its inputs. It holds for every tape of the process, for functions and SavedModels alike, since TensorFlow looks
a rule up by the op's type when it differentiates. Beyond ``tf.RegisterGradient`` a rule is checked, can be taken
back, and can replace another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from ..errors import RuleError
from ..public import not_pickled, public
from . import ops as _builtin  # noqa: F401  its rules come first, whatever is imported first
from .checked_rule import check_arguments, checked, source_of
from .registry import ABSENT, SHIPPED, Rule, entry, put

AnyRule = TypeVar("AnyRule", bound=Callable[..., Any])
_lock = threading.RLock()
# The user's rules by op, the one in force last.
_users: dict[str, list[Registration]] = {}
# The registry's entry of an op before the first of them.
_stock: dict[str, Any] = {}
# Replaced as a whole: a trace that was made under other rules is to be made again.
in_force: tuple[RuleInForce, ...] = ()


@public("types")
@dataclass(frozen=True)
class RegisteredGradient:
    """A rule that TensorFlow does not have of its own.

    Attributes:
        op: the op's type.
        by: whose rule it is.
        order: how many orders of derivatives are known to hold; None where no limit is known.
        where: the rule's file and line.
        replaces: whose rule it stands in for; None where there was none.
    """

    op: str
    by: Literal["tfgradkit", "user"]
    order: int | None
    where: str
    replaces: Literal["TensorFlow", "tfgradkit", "user"] | None

    def __str__(self) -> str:
        instead = f", in place of {self.replaces}'s" if self.replaces else ""
        return f"{self.op}: by {self.by}{instead}, {self.where}"


class RuleInForce:
    """A user's rule in force; two are equal where they are the same function for the same op."""

    def __init__(self, op_type: str, rule: Rule) -> None:
        self.op_type, self.rule = op_type, rule

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleInForce) and (self.op_type, id(self.rule)) == (other.op_type, id(other.rule))

    def __hash__(self) -> int:
        return hash((self.op_type, id(self.rule)))


@public("types")
@not_pickled("register the rule again in the other process")
class Registration:
    """A rule in force, until ``remove``, or until the end of its ``with`` block; a later block sets it in again."""

    def __init__(self, op_type: str, rule: Rule, replace: bool, order: int | None) -> None:
        self.op_type, self.rule, self.replace, self.order = op_type, rule, replace, order
        self.installed = checked(op_type, rule)
        self.put()

    def put(self) -> None:
        """Sets the rule in force, where it is not.

        Raises:
            RuleError: the op has another gradient, and this one is not to replace it.
        """
        with _lock:
            stack = _users.setdefault(self.op_type, [])
            if self in stack:
                return
            if not self.replace:
                _refuse_second(self.op_type)
            if not stack:
                _stock[self.op_type] = entry(self.op_type)
            stack.append(self)
            _install(self.op_type)

    def remove(self) -> None:
        """Takes the rule back: what was in force before is again. A second time it does nothing."""
        with _lock:
            stack = _users.get(self.op_type, [])
            if self in stack:
                stack.remove(self)
                _install(self.op_type)

    def __enter__(self) -> Registration:
        self.put()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<gradient of {self.op_type}: {source_of(self.rule)}>"


@overload
def register_gradient(
    op_type: str, rule: None = None, *, replace: bool = False, order: int | None = None
) -> Callable[[AnyRule], AnyRule]: ...


@overload
def register_gradient(op_type: str, rule: Rule, *, replace: bool = False, order: int | None = None) -> Registration: ...


def register_gradient(
    op_type: str, rule: Rule | None = None, *, replace: bool = False, order: int | None = None
) -> Any:
    """Gives an op a gradient: for the process as a decorator, or for the length of a ``with`` block.

    ``@register_gradient("OpType")`` above a rule registers it for good. ``with register_gradient("OpType", rule):``
    takes it back at the end of the block; without ``with``, the ``remove()`` of what is returned does. Both hold
    in every thread, eagerly, in ``tf.function``, for SavedModels that are differentiated after loading, and for
    what is exported meanwhile. What was traced or exported with a rule keeps it.

    Args:
        op_type: the type of the op, as in ``tf.raw_ops`` or a library of the user's own.
        rule: ``rule(op, *output_gradients)``, as for ``tf.RegisterGradient``: for each input of the op a tensor of
            its shape and dtype, or None where it has no gradient; one input needs no list. ``op.inputs``,
            ``op.outputs`` and ``op.get_attr(name)`` are there. For complex numbers TensorFlow's convention
            holds: gradients are conjugate. A rule that is to be differentiated again is made of ops with gradients.
        replace: puts the rule in place of TensorFlow's own, or of an earlier one of the user's. It can only use
            the inputs and results that TensorFlow's own rule uses: a tape keeps no others. A rule that comes with
            tfgradkit for an op that has none in TensorFlow gives way without it.
        order: how many orders of derivatives the rule is good for, for :func:`registered_gradients`.

    Returns:
        Without a rule, the decorator, which hands its function on; with one, the
        :class:`~tfgradkit.types.Registration`.

    Raises:
        RuleError: TensorFlow has no such op, the op has a gradient, or the rule does not take what the op gives.
            Later, when it is used: it gives the wrong number of results, or one of a wrong shape or dtype.

    Example:
        >>> with tgk.register_gradient("Floor", lambda op, upstream: upstream, replace=True):
        ...     tgk.gradient(lambda x: tf.reduce_sum(tf.floor(x)))([1.5, 2.5]).numpy().tolist()
        [1.0, 1.0]
    """
    check_arguments(op_type, rule)
    if rule is not None:
        return Registration(op_type, rule, replace, order)

    def decorate(rule: Rule) -> Rule:
        check_arguments(op_type, rule)
        Registration(op_type, rule, replace, order)
        return rule

    return decorate


def registered_gradients() -> tuple[RegisteredGradient, ...]:
    """The gradient rules in force that TensorFlow does not have of its own: the toolkit's and the user's.

    Returns:
        A :class:`~tfgradkit.types.RegisteredGradient` for each op, by its name.

    Example:
        >>> [found.op for found in tgk.registered_gradients() if found.op.startswith("Adjust")]
        ['AdjustContrastv2', 'AdjustHue', 'AdjustSaturation']
    """
    with _lock:
        rules = {
            op: RegisteredGradient(op, "tfgradkit", s.order, source_of(s.rule), _replaced_rule(s.replaces))
            for op, s in SHIPPED.items()
        }
        for op, stack in _users.items():
            if stack:
                latest = stack[-1]
                replaced = "user" if len(stack) > 1 else "tfgradkit" if op in SHIPPED else _replaced_rule(_stock[op])
                rules[op] = RegisteredGradient(op, "user", latest.order, source_of(latest.rule), replaced)
        return tuple(rules[op] for op in sorted(rules))


def rules_in_force() -> tuple[RuleInForce, ...]:
    """The user's rules; a trace that was made under other rules is to be made again."""
    return in_force


def _refuse_second(op_type: str) -> None:
    stack = _users.get(op_type)
    if stack:
        raise RuleError(
            "the op has a gradient that was registered before",
            subject=op_type,
            got=f"one more, beside that of {source_of(stack[-1].rule)}",
            hint="replace=True, if this one is to stand in its place; a with block, if the first is for a while only",
        )
    stock = entry(op_type)
    if stock is None:
        raise RuleError(
            "TensorFlow registers the op as not differentiable, and its tapes keep neither inputs nor results of it",
            subject=op_type,
            hint="the same calculation inside a tf.custom_gradient; or replace=True, for a rule that uses the "
            "gradients of the results alone (lambda op, u: u to pass them straight through)",
        )
    if stock is not ABSENT and op_type not in SHIPPED:
        raise RuleError(
            "the op has a gradient of TensorFlow's own",
            subject=f"{op_type}, {source_of(stock)}",
            hint="replace=True, to put this rule in its place for the whole process",
        )


def _install(op_type: str) -> None:
    """Puts the rule that is to be in force into TensorFlow's registry."""
    global in_force
    stack = _users.get(op_type)
    put(op_type, stack[-1].installed if stack else _stock.pop(op_type))
    in_force = tuple(RuleInForce(op, stack[-1].rule) for op, stack in sorted(_users.items()) if stack)


def _replaced_rule(stock: Any) -> Literal["TensorFlow"] | None:
    return None if stock is ABSENT else "TensorFlow"
