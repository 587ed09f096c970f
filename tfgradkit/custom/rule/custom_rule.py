"""``custom_rule``: a function with derivatives of the user's own, forward and reverse."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, overload

import numpy as np
import tensorflow as tf

from ...arguments import is_numbers
from ...diagnose.check.check_gradients import check_gradients
from ...diagnose.check.gradient_check import GradientCheck
from ...errors import SignatureError
from ..attach_gradient import Tensors, VjpJvpPair, applied, is_differentiable, picked
from .rule_results import Expected, Function, check_rules, closed_over, name_like, positional, signature_of

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Ruled(Protocol[P, R_co]):
    """What :func:`custom_rule` returns, for type checkers: the function, with ``check``."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The value of the function."""

    def check(self, *args: Any, order: int = 1, **keywords: Any) -> GradientCheck:
        """The rules against each other and against differences, as :func:`tfgradkit.check_gradients`."""


@overload
def custom_rule(
    fn: None = None, vjp: Function | None = None, jvp: Function | None = None
) -> Callable[[Callable[P, R_co]], Ruled[P, R_co]]: ...


@overload
def custom_rule(fn: Callable[P, R_co], vjp: Function | None = None, jvp: Function | None = None) -> Ruled[P, R_co]: ...


def custom_rule(fn: Function | None = None, vjp: Function | None = None, jvp: Function | None = None) -> Any:
    """``fn`` with derivatives of your own: in reverse and in forward mode, to any order.

    ``custom_rule(fn, vjp=..., jvp=...)``, or as a decorator, ``@custom_rule(vjp=...)``. Given one rule, the other is
    its transpose. Second derivatives are those of the rules. The rules are about the arguments; by what else ``fn``
    uses, variables for example, TensorFlow differentiates ``fn`` itself.

    Args:
        fn: any number of arguments, each any nest; returns any nest of tensors. Integers, text, Python numbers and None
            among the arguments are passed on.
        vjp: ``vjp(*args, output_gradients)``, which returns a gradient for each argument (None for those
            that are not floating): a tuple, or for one argument the gradient itself. ``output_gradients`` has the
            structure of the result of ``fn``.
        jvp: ``jvp(*args, *tangents)``, a tangent for each argument (None for those that are not floating), which
            returns what ``fn`` returns, differentiated.

    Returns:
        A function like ``fn``, with its name. ``.check(*args, order=1)`` compares the rules with each other and with
        differences, and returns what :func:`tfgradkit.check_gradients` does.

    Raises:
        SignatureError: no rule; from the call: keyword-only arguments.
        GradientError: when differentiated: a rule returns the wrong number, structure, shape or dtype, or None.

    References:
        The pair of rules, and forward from reverse by transposition: R. Frostig et al., "Decomposing reverse-mode
        automatic differentiation", 2021; J. Townsend, "A new trick for calculating Jacobian vector products", 2017.

    Example:
        >>> square = tgk.custom_rule(lambda x: x**2, vjp=lambda x, output_gradients: 2 * x * output_gradients)
        >>> tgk.jvp(square)([1.0, 2.0], tangents=[1.0, 10.0]).numpy().tolist()
        [2.0, 40.0]
    """
    if fn is None:
        return functools.partial(custom_rule, vjp=vjp, jvp=jvp)
    name = getattr(fn, "__name__", type(fn).__name__)
    check_rules(name, fn, vjp, jvp)
    own = _Ruled(name, fn, vjp, jvp)

    def ruled(*args: Any, **keywords: Any) -> Any:
        return own(*args, **keywords)

    result: Any = tf.autograph.experimental.do_not_convert(ruled)
    name_like(result, fn, name, own.signature)
    result.check = functools.partial(_check, own, result)
    return result


class _Ruled:
    """A function and its rules."""

    def __init__(self, name: str, fn: Function, vjp: Function | None, jvp: Function | None) -> None:
        self.name = name
        self.signature = signature_of(fn)
        self.closed = closed_over(fn, vjp, jvp)
        self.fn, self.vjp, self.jvp = _traced(fn), vjp and _traced(vjp), jvp and _traced(jvp)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        call = _Call(self, [_tensors(argument) for argument in self.bound(args, keywords)])
        return call.result()

    def bound(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position.

        Raises:
            SignatureError: keyword-only arguments.
        """
        if self.signature is not None:
            bound = self.signature.bind(*args, **keywords)
            bound.apply_defaults()
            args, keywords = bound.args, bound.kwargs
        if keywords:
            raise SignatureError(
                "a function with rules has no keyword-only arguments",
                subject=self.name,
                expected="arguments that can be given by position, as the rules take them",
                got=", ".join(keywords),
                hint="make it positional, or close over it",
            )
        return args

    def argument_names(self, count: int) -> list[str]:
        """A name for each argument."""
        known = positional(self.signature) or []
        return [f"argument {known[i] if i < len(known) else i}" for i in range(count)]


class _Call:
    """One call, whose differentiable leaves are taken apart and put back."""

    def __init__(self, own: _Ruled, args: Sequence[Any]) -> None:
        self.own, self.args = own, list(args)
        self.leaves = tf.nest.flatten(self.args)
        self.y: Any = None

    def result(self) -> Any:
        xs = [leaf for leaf in self.leaves if isinstance(leaf, tf.Tensor)]
        if not picked(xs):
            return self.own.fn(*self.args)
        products = VjpJvpPair(self.own.vjp and self.reverse, self.own.jvp and self.forward, self.own.closed)
        ys = iter(applied(self.value, products, xs, self.own.name))
        return tf.nest.map_structure(lambda leaf: next(ys) if is_differentiable(leaf) else leaf, self.y)

    def value(self, xs: Tensors) -> Tensors:
        y = self.own.fn(*self.filled(xs))
        self.y = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf) if _is_array(leaf) else leaf, y)
        return self.y_leaves()

    def y_leaves(self) -> Tensors:
        return [leaf for leaf in tf.nest.flatten(self.y) if is_differentiable(leaf)]

    def reverse(self, xs: Tensors, us: Tensors) -> Tensors:
        assert self.own.vjp is not None
        given = iter(us)
        gradients = tf.nest.map_structure(lambda leaf: next(given) if is_differentiable(leaf) else None, self.y)
        expected = Expected(
            f"the vjp rule of {self.own.name}",
            self.args,
            self.own.argument_names(len(self.args)),
            "one gradient for each argument",
        )
        return expected.flat(self.own.vjp(*self.filled(xs), gradients))

    def forward(self, xs: Tensors, vs: Tensors) -> Tensors:
        assert self.own.jvp is not None
        expected = Expected(f"the jvp rule of {self.own.name}", [self.y], ["the result"], "what the function does")
        return expected.flat(self.own.jvp(*self.filled(xs), *self._tangents(vs)))

    def filled(self, tensors: Tensors) -> Any:
        """The arguments with ``tensors`` in place of their own."""
        given = iter(tensors)
        leaves = [next(given) if isinstance(leaf, tf.Tensor) else leaf for leaf in self.leaves]
        return tf.nest.pack_sequence_as(self.args, leaves)

    def _tangents(self, vs: Tensors) -> Any:
        given = iter(vs)
        leaves = [next(given) if is_differentiable(leaf) else None for leaf in self.leaves]
        return tf.nest.pack_sequence_as(self.args, leaves)


def _check(own: _Ruled, ruled: Function, *args: Any, order: int = 1, **keywords: Any) -> GradientCheck:
    """The rules against each other and against differences, of what is floating."""
    given = [_tensors(argument) for argument in own.bound(args, keywords)]
    floating = tuple(
        i for i, argument in enumerate(given) if all(map(is_differentiable, tf.nest.flatten(argument) or [None]))
    )

    def floating_results(*args: Any) -> list[tf.Tensor]:
        return [leaf for leaf in tf.nest.flatten(ruled(*args)) if is_differentiable(leaf)]

    floating_results.__name__ = own.name
    undisturbed = tf.autograph.experimental.do_not_convert(floating_results)
    return check_gradients(undisturbed, *given, order=order, argnums=floating)


def _tensors(argument: Any) -> Any:
    """Arrays, variables and lists of numbers as tensors; all else as it is."""
    if is_numbers(argument) and isinstance(argument, (list, tuple)):
        return tf.convert_to_tensor(np.asarray(argument))
    return tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf) if _is_array(leaf) else leaf, argument)


def _is_array(leaf: Any) -> bool:
    return is_differentiable(leaf) or isinstance(leaf, (np.ndarray, np.generic, tf.Variable))


def _traced(fn: Function) -> Function:
    """``fn`` with AutoGraph in graphs: an ``if`` on a tensor works; run eagerly, it is Python as it stands."""
    if not (inspect.isfunction(fn) or inspect.ismethod(fn)) or fn.__name__ == "<lambda>":
        return fn
    in_graph = tf.function(fn)
    return lambda *args: fn(*args) if tf.executing_eagerly() else in_graph(*args)
