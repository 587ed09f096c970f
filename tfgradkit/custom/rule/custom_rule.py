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
from ..attach_gradient import Tensors, VjpJvpPair, differentiable, is_differentiable, with_products
from .rule_results import (
    ExpectedDerivatives,
    Function,
    captured_tensors,
    check_rules,
    copy_name,
    positional_names,
    signature_of,
)

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
    function = _FunctionWithRules(name, fn, vjp, jvp)

    def with_rules(*args: Any, **keywords: Any) -> Any:
        return function(*args, **keywords)

    result: Any = tf.autograph.experimental.do_not_convert(with_rules)
    copy_name(result, fn, name, function.signature)
    result.check = functools.partial(_check, function, result)
    return result


class _FunctionWithRules:
    """A function and its rules."""

    def __init__(self, name: str, fn: Function, vjp: Function | None, jvp: Function | None) -> None:
        self.name = name
        self.signature = signature_of(fn)
        self.captures = captured_tensors(fn, vjp, jvp)
        self.fn, self.vjp, self.jvp = _with_autograph(fn), vjp and _with_autograph(vjp), jvp and _with_autograph(jvp)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        call = _Call(self, [_tensors(argument) for argument in self.by_position(args, keywords)])
        return call.result()

    def by_position(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments in the order of the signature, defaults filled in.

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
        """A name for each argument, for messages."""
        known = positional_names(self.signature) or []
        return [f"argument {known[i] if i < len(known) else i}" for i in range(count)]


class _Call:
    """One call: the rules on nests as products of flat tensors.

    Attributes:
        function: the function and its rules.
        args: the arguments, nests of tensors and other things.
        y: the result, once it is there.
    """

    def __init__(self, function: _FunctionWithRules, args: Sequence[Any]) -> None:
        self.function, self.args = function, list(args)
        self.y: Any = None
        self._leaves = tf.nest.flatten(self.args)

    def result(self) -> Any:
        """The function's result, with the rules behind its differentiable leaves."""
        xs, function = [leaf for leaf in self._leaves if isinstance(leaf, tf.Tensor)], self.function
        if not differentiable(xs):
            return function.fn(*self.args)
        products = VjpJvpPair(function.vjp and self._reverse, function.jvp and self._forward, function.captures)
        ys = iter(with_products(self._value, products, xs, function.name))
        return tf.nest.map_structure(lambda leaf: next(ys) if is_differentiable(leaf) else leaf, self.y)

    def _value(self, xs: Tensors) -> Tensors:
        y = self.function.fn(*self._arguments(xs))
        self.y = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf) if _is_array(leaf) else leaf, y)
        return [leaf for leaf in tf.nest.flatten(self.y) if is_differentiable(leaf)]

    def _reverse(self, xs: Tensors, us: Tensors) -> Tensors:
        function, seeds = self.function, iter(us)
        assert function.vjp is not None
        output_gradients = tf.nest.map_structure(lambda leaf: next(seeds) if is_differentiable(leaf) else None, self.y)
        rule, names = f"the vjp rule of {function.name}", function.argument_names(len(self.args))
        expected = ExpectedDerivatives(rule, self.args, names, "one gradient for each argument")
        return expected.flatten(function.vjp(*self._arguments(xs), output_gradients))

    def _forward(self, xs: Tensors, vs: Tensors) -> Tensors:
        function = self.function
        assert function.jvp is not None
        rule = f"the jvp rule of {function.name}"
        expected = ExpectedDerivatives(rule, [self.y], ["the result"], "what the function does")
        return expected.flatten(function.jvp(*self._arguments(xs), *self._tangents(vs)))

    def _arguments(self, tensors: Tensors) -> Any:
        """The arguments, with ``tensors`` in place of their own."""
        replacements = iter(tensors)
        leaves = [next(replacements) if isinstance(leaf, tf.Tensor) else leaf for leaf in self._leaves]
        return tf.nest.pack_sequence_as(self.args, leaves)

    def _tangents(self, vs: Tensors) -> Any:
        seeds = iter(vs)
        leaves = [next(seeds) if is_differentiable(leaf) else None for leaf in self._leaves]
        return tf.nest.pack_sequence_as(self.args, leaves)


def _check(
    function: _FunctionWithRules, with_rules: Function, *args: Any, order: int = 1, **keywords: Any
) -> GradientCheck:
    """The rules against each other and against differences, for differentiable arguments and results."""
    arguments = [_tensors(argument) for argument in function.by_position(args, keywords)]
    argnums = tuple(
        i for i, argument in enumerate(arguments) if all(map(is_differentiable, tf.nest.flatten(argument) or [None]))
    )

    def differentiable_results(*args: Any) -> list[tf.Tensor]:
        return [leaf for leaf in tf.nest.flatten(with_rules(*args)) if is_differentiable(leaf)]

    differentiable_results.__name__ = function.name
    unconverted = tf.autograph.experimental.do_not_convert(differentiable_results)
    return check_gradients(unconverted, *arguments, order=order, argnums=argnums)


def _tensors(argument: Any) -> Any:
    """Arrays, variables and lists of numbers as tensors; other arguments unchanged."""
    if is_numbers(argument) and isinstance(argument, (list, tuple)):
        return tf.convert_to_tensor(np.asarray(argument))
    return tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf) if _is_array(leaf) else leaf, argument)


def _is_array(leaf: Any) -> bool:
    return is_differentiable(leaf) or isinstance(leaf, (np.ndarray, np.generic, tf.Variable))


def _with_autograph(fn: Function) -> Function:
    """``fn``, converted by AutoGraph in graphs, so that an ``if`` on a tensor works; eagerly it runs as written."""
    if not (inspect.isfunction(fn) or inspect.ismethod(fn)) or fn.__name__ == "<lambda>":
        return fn
    in_graph = tf.function(fn)
    return lambda *args: fn(*args) if tf.executing_eagerly() else in_graph(*args)
