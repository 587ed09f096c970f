"""``check_gradients``: derivatives against differences, forward mode against reverse, Hessians against themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Unpack

import numpy as np

from ...arguments import leaves
from ...derivatives.derivative import Derivative
from ...derivatives.extrapolated_differences import Difference, along
from ...derivatives.failures.foreign_errors import translating
from ...derivatives.keywords import Keywords, documented
from ...derivatives.op_by_op.local_check import has_own_rules, wrong_custom_gradients
from ...derivatives.op_by_op.rounding import TOLERANCE, comparison_floor
from ...derivatives.op_by_op.wrong_op import WrongOp
from ...derivatives.operators import build
from ...differentiable import Differentiable
from ...errors import SignatureError, TfGradKitError
from .checked_function import Arrays, CheckedFunction, checked_function
from .float64_shadow import in_float64, wide_arguments
from .gradient_check import CheckStatus, Finding, GradientCheck
from .wrong_ops import wrong_ops

_SEED = 1982
_DIRECTIONS = 2
# Differences with a smaller error than this, relative, are exact enough to agree with.
_EXACT = 1e-4
# So many pairs of a result and an argument are looked into for ops.
_LOOKED_INTO = 4


@translating
@documented()
def check_gradients(fn: Any, *arguments: Any, order: int = 1, **keywords: Unpack[Keywords]) -> GradientCheck:
    """Whether the derivatives of a function are those of its values.

    In random directions, in float64 (a Keras model's layers and variables are, while it runs): Jv against
    extrapolated differences, ⟨u, Jv⟩ against ⟨v, Jᵀu⟩, and with ``order=2`` the same of the gradient of ⟨u, f⟩, and
    ⟨w, Hv⟩ against ⟨v, Hw⟩. Each ``tf.custom_gradient`` is compared by itself, too, so that an error is found that
    the ops around it hide. The numbers are seeded: the same check gives the same answer. ``mode``, ``strategy`` and
    ``chunk_size`` have nothing to choose.

    Args:
        arguments: what it takes, ``[B] + x`` each where batched.
        order: 1, or 2 for second derivatives, too.

    Returns:
        A :class:`~tfgradkit.GradientCheck`: ``.ok``; ``.digits`` that agree; ``.max_error``, relative; ``.status``:
        "right", "wrong" where the differences converge to something else, "nan" where the derivative is not finite,
        "kink" where the differences to both sides differ, "noise" where they don't converge; and ``.wrong_ops``, a
        :class:`~tfgradkit.types.WrongOp` for each op where a wrong derivative begins, with the line that calls it.
        ``print`` it for every comparison.

    Raises:
        SignatureError: arguments that the function doesn't take, another order, or no such value of a keyword.
        GradientError: the derivative does not exist.

    References:
        Extrapolated differences: C. J. F. Ridders, Advances in Engineering Software 4, 1982.

    Example:
        >>> found = tgk.check_gradients(tf.sin, np.array([0.3, -1.2]))
        >>> found.ok, found.digits > 6
        (True, True)
    """
    if order not in (1, 2) or isinstance(order, bool):
        raise SignatureError("no such order", subject="order", expected="1 | 2", got=repr(order))
    derivative = build("jacobian", ("jacobian",), fn, keywords)
    converted = derivative.converted(arguments)
    if any(x.dtype.is_complex for x in leaves(converted)):
        raise SignatureError("complex functions can't be checked", subject=str(derivative), expected="real arguments")
    training = bool(keywords.get("training", False))
    with in_float64(derivative.source, converted, training) as wide:
        return _checked(derivative, converted, wide, order)


def _checked(derivative: Derivative, arguments: Any, wide: Differentiable | None, order: int) -> GradientCheck:
    first, differentiated, note = _functions(derivative, arguments, wide)
    generator = np.random.default_rng(_SEED)
    findings = [*_compare(first, 1, generator), *_custom_gradients(first)]
    second = None
    if order == 2:
        second = differentiated([_random_like(generator, first.ys)])
        findings += _compare(second, 2, generator)
    return GradientCheck(tuple(findings), first.dtype, note, _wrong_ops(findings, first, second))


def _custom_gradients(function: CheckedFunction) -> Iterator[Finding]:
    """Each of the user's own gradients by itself, which may be wrong and yet not be seen in the whole."""
    traced = function.traced
    try:
        if not has_own_rules(traced.concrete.graph):
            return
        tape, _ = traced.run(traced.xs)
        for op in wrong_custom_gradients(tape, traced.layer_names):
            yield Finding(1, "differences of one op", f"{op.op} at {op.where or op.name}", op.error, "wrong", op)
    except Exception:  # the graph can't be run op by op: its ops may raise anything
        return


def _wrong_ops(
    findings: Sequence[Finding], first: CheckedFunction, second: CheckedFunction | None
) -> tuple[WrongOp, ...]:
    """Where the wrong derivatives begin."""
    found: dict[str, WrongOp] = {}
    for function, order in ((first, 1), (second, 2)):
        wrong = [f for f in findings if f.order == order and f.status == "wrong" and f.op is None]
        if function is None or not wrong or found:
            continue
        for us, vs in _seeds_of(wrong, function):
            with suppress(Exception):  # the graph can't be run op by op: its ops may raise anything
                for op in wrong_ops(function.traced, us, vs, function.epsilon):
                    found.setdefault(op.name, op)
    alone = {f.op.name: f.op for f in findings if f.op is not None}
    return tuple((found | {name: op for name, op in alone.items() if name not in found}).values())


def _seeds_of(wrong: Sequence[Finding], function: CheckedFunction) -> Iterator[tuple[Arrays, Arrays]]:
    """Seeds and directions in which the results that are wrong by some argument count alone."""
    generator = np.random.default_rng(_SEED)
    pairs: Sequence[tuple[int | None, int | None]] = sorted({f.pair for f in wrong if f.pair is not None})
    pairs = pairs or [(None, None)]
    for result, argument in pairs[:_LOOKED_INTO]:
        us, vs = _random_like(generator, function.ys), [_direction(generator, x) for x in function.xs]
        yield (
            [u if result in (None, i) else np.zeros_like(u) for i, u in enumerate(us)],
            [v if argument in (None, i) else np.zeros_like(v) for i, v in enumerate(vs)],
        )


def _functions(
    derivative: Derivative, arguments: Any, wide: Differentiable | None
) -> tuple[CheckedFunction, Callable[[list[Arrays]], CheckedFunction], str | None]:
    """The function, and a function to its derivative by weights, in float64; else in their own dtype, and why."""
    note = "it can't be had in float64, so it was checked in its own dtype"
    if wide is not None:
        derivative_by = partial(checked_function, wide, derivative.options, wide_arguments(arguments))
        try:
            first = derivative_by([])
            return first, derivative_by, _narrowed(first)
        except TfGradKitError:
            raise
        except Exception as error:  # a function for its own dtype alone; TensorFlow may raise anything
            note = f"it can't be had in float64: {str(error).strip().splitlines()[0][:200]}"
    derivative_by = partial(checked_function, derivative.source, derivative.options, arguments)
    return derivative_by([]), derivative_by, note


def _narrowed(function: CheckedFunction) -> str | None:
    if function.dtype == "float64":
        return None
    return f"it calculates in {function.dtype} inside, even for float64: so fewer digits count as agreement"


def _compare(function: CheckedFunction, order: int, generator: np.random.Generator) -> Iterator[Finding]:
    repeats = function.value(function.xs)
    random = any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(repeats, function.ys, strict=True))
    for argument, x in enumerate(function.xs):
        if x.size == 0:
            continue
        for _ in range(_DIRECTIONS):
            vs = [_direction(generator, x) if i == argument else np.zeros_like(o) for i, o in enumerate(function.xs)]
            us = _random_like(generator, function.ys)
            forward, reverse = function.products(us, vs)
            scatter = function.scatter(us, vs, (forward, reverse))
            yield from _compare_with_differences(function, order, argument, vs, (forward, scatter[0]), random)
            yield _compare_modes(function, order, argument, (us, forward), (vs, reverse), scatter)


def _compare_with_differences(
    function: CheckedFunction, order: int, argument: int, vs: Arrays, forward: tuple[Arrays, list[float]], random: bool
) -> Iterator[Finding]:
    cache: dict[float, Arrays] = {}

    def values(h: float) -> Arrays:
        if h not in cache:
            cache[h] = function.value([x + h * v for x, v in zip(function.xs, vs, strict=True)])
        return cache[h]

    for result, (expected, scatter) in enumerate(zip(*forward, strict=True)):
        difference = along(lambda h, result=result: values(h)[result], function.epsilon)  # type: ignore[misc]
        floor = comparison_floor(function.sizes[result], scatter, function.dtype)
        scale = max(_largest(difference.derivative), _largest(expected), floor)
        error = _largest(difference.derivative - expected) / scale if scale else 0.0
        # The error of the differences, relative to the derivative that they give.
        measured = max(_largest(difference.derivative), comparison_floor(function.sizes[result], 0.0, function.dtype))
        doubt = difference.error / (measured or scale or 1.0)
        status = _status(error, doubt, difference, random, TOLERANCE[function.dtype])
        if not np.isfinite(expected).all():
            error, status = np.nan, "nan"
        place = f"result {result} by argument {argument}"
        yield Finding(order, "differences", place, error, status, pair=(result, argument))


def _status(error: float, doubt: float, difference: Difference, random: bool, tolerance: float) -> CheckStatus:
    if random:
        return "noise"
    if difference.kink:
        return "kink"
    if error <= max(tolerance, doubt if doubt <= _EXACT else 0.0):
        return "right"
    # An error that the differences' own may explain proves nothing.
    return "wrong" if error > 10 * doubt and np.isfinite(error) else "noise"


def _compare_modes(
    function: CheckedFunction,
    order: int,
    argument: int,
    one: tuple[Arrays, Arrays],
    other: tuple[Arrays, Arrays],
    scatter: tuple[list[float], float],
) -> Finding:
    """⟨u, Jv⟩ against ⟨v, Jᵀu⟩; for a Hessian both products are in reverse mode, and this is its symmetry."""
    left, right, tolerance = _inner(*one), _inner(*other), TOLERANCE[function.dtype]
    weights = [float(np.sum(np.abs(u))) for u in one[0]]
    size, apart = (sum(w * s for w, s in zip(weights, each, strict=True)) for each in (function.sizes, scatter[0]))
    floor = comparison_floor(size, apart + scatter[1], function.dtype)
    scale = max(float(np.sqrt(_inner(one[0], one[0]) * _inner(one[1], one[1]))), abs(left), abs(right), floor)
    error = abs(left - right) / scale if scale else 0.0
    status: CheckStatus = "nan" if not np.isfinite(error) else "right" if error <= tolerance else "wrong"
    method = "forward against reverse" if order == 1 else "symmetry"
    return Finding(order, method, f"argument {argument}", error if np.isfinite(error) else np.nan, status)


def _direction(generator: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """A random direction of the size of x, so that a step moves each number by a like share."""
    return np.asarray(generator.standard_normal(x.shape) * np.where(x == 0, 1.0, np.abs(x)))


def _random_like(generator: np.random.Generator, like: Sequence[np.ndarray]) -> Arrays:
    return [np.asarray(generator.standard_normal(x.shape)) for x in like]


def _inner(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))


def _largest(x: np.ndarray) -> float:
    return float(np.max(np.abs(x), initial=0.0))
