"""``check_gradients``: derivatives against differences, forward mode against reverse, Hessians against themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np

from ...arguments import leaves
from ...derivatives.derivative import Derivative
from ...derivatives.keywords import Keywords, documented
from ...derivatives.operators import build
from ...errors import SignatureError, TfGradKitError
from .checked_function import Arrays, Checked, checked, wide_arguments, wide_source
from .extrapolated_differences import Difference, along
from .gradient_check import CheckStatus, Finding, GradientCheck

_SEED = 1982
_DIRECTIONS = 2
# The largest relative error that counts as right.
_TOLERANCE = {"float64": 1e-6, "float32": 2e-3, "float16": 1e-1, "bfloat16": 3e-1}


@documented()
def check_gradients(fn: Any, *arguments: Any, order: int = 1, **keywords: Unpack[Keywords]) -> GradientCheck:
    """Whether the derivatives of a function are those of its values.

    In random directions, in float64 (a Keras model is built again in it, with its weights): Jv against extrapolated
    differences, ⟨u, Jv⟩ against ⟨v, Jᵀu⟩, and with ``order=2`` the same of the gradient of ⟨u, f⟩, and
    ⟨w, Hv⟩ against ⟨v, Hw⟩. The numbers are seeded: the same check gives the same answer. ``mode``, ``strategy`` and
    ``chunk_size`` have nothing to choose.

    Args:
        arguments: what it takes, ``[B] + x`` each where batched.
        order: 1, or 2 for second derivatives, too.

    Returns:
        A :class:`~tfgradkit.GradientCheck`: ``.ok``; ``.digits`` that agree; ``.max_error``, relative; ``.status``:
        "right", "wrong" where the differences converge to something else, "kink" where those to both sides differ,
        "noise" where they don't converge. ``print`` it for every comparison.

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
    given = derivative.converted(arguments)
    if any(x.dtype.is_complex for x in leaves(given)):
        raise SignatureError("complex functions can't be checked", subject=str(derivative), expected="real arguments")
    first, differentiated, note = _widest(derivative, given, keywords.get("training", False))
    generator = np.random.default_rng(_SEED)
    findings = list(_compared(first, 1, generator))
    if order == 2:
        findings += _compared(differentiated([_normal(generator, first.ys)]), 2, generator)
    return GradientCheck(tuple(findings), first.dtype, note)


def _widest(
    derivative: Derivative, given: Any, training: bool
) -> tuple[Checked, Callable[[list[Arrays]], Checked], str | None]:
    """The function, and its derivative by weights, in float64; where that can't be had, as they are, and why."""
    wide = wide_source(derivative.source, given, training)
    note = "it can't be had in float64, so it was checked in its own dtype"
    if wide is not None:
        again = partial(checked, wide, derivative.options, wide_arguments(given))
        try:
            return again([]), again, None
        except TfGradKitError:
            raise
        except Exception as error:  # a function that insists on its dtype; TensorFlow raises what it likes
            note = f"it can't be had in float64: {str(error).strip().splitlines()[0][:200]}"
    again = partial(checked, derivative.source, derivative.options, given)
    return again([]), again, note


def _compared(function: Checked, order: int, generator: np.random.Generator) -> Iterator[Finding]:
    repeats = function.value(function.xs)
    random = any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(repeats, function.ys, strict=True))
    for argument, x in enumerate(function.xs):
        if x.size == 0:
            continue
        for _ in range(_DIRECTIONS):
            vs = [_direction(generator, x) if i == argument else np.zeros_like(o) for i, o in enumerate(function.xs)]
            us = _normal(generator, function.ys)
            forward, reverse = function.products(us, vs)
            yield from _against_differences(function, order, argument, vs, forward, random)
            yield _identity(function, order, argument, (us, forward), (vs, reverse))


def _against_differences(
    function: Checked, order: int, argument: int, vs: Arrays, forward: Arrays, random: bool
) -> Iterator[Finding]:
    cache: dict[float, Arrays] = {}

    def values(h: float) -> Arrays:
        if h not in cache:
            cache[h] = function.value([x + h * v for x, v in zip(function.xs, vs, strict=True)])
        return cache[h]

    for result, expected in enumerate(forward):
        difference = along(lambda h, result=result: values(h)[result], function.epsilon)  # type: ignore[misc]
        scale = max(_largest(difference.slope), _largest(expected))
        error = _largest(difference.slope - expected) / scale if scale else 0.0
        # As a share of what the differences themselves say, if that is less.
        floor = difference.error / (_largest(difference.slope) or scale or 1.0)
        status = _status(error, floor, difference, random, _TOLERANCE[function.dtype])
        yield Finding(order, "differences", f"result {result} by argument {argument}", error, status)


def _status(error: float, floor: float, difference: Difference, random: bool, tolerance: float) -> CheckStatus:
    if random:
        return "noise"
    if difference.kink:
        return "kink"
    if error <= tolerance:
        return "right"
    # Differences that are not sure of themselves convict nobody.
    return "wrong" if error > 10 * floor and np.isfinite(error) else "noise"


def _identity(
    function: Checked, order: int, argument: int, one: tuple[Arrays, Arrays], other: tuple[Arrays, Arrays]
) -> Finding:
    """⟨u, Jv⟩ = ⟨v, Jᵀu⟩; of a Hessian, both products are in reverse mode, and this is its symmetry."""
    left, right = _inner(*one), _inner(*other)
    scale = float(np.sqrt(_inner(one[0], one[0]) * _inner(one[1], one[1]))) or max(abs(left), abs(right)) or 1.0
    error = abs(left - right) / scale
    status: CheckStatus = "right" if error <= _TOLERANCE[function.dtype] else "wrong"
    return Finding(
        order, "forward against reverse" if order == 1 else "symmetry", f"argument {argument}", error, status
    )


def _direction(generator: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Random, of the size of x, so that a step means the same to each number."""
    return np.asarray(generator.standard_normal(x.shape) * np.where(x == 0, 1.0, np.abs(x)))


def _normal(generator: np.random.Generator, like: Sequence[np.ndarray]) -> Arrays:
    return [np.asarray(generator.standard_normal(x.shape)) for x in like]


def _inner(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))


def _largest(x: np.ndarray) -> float:
    return float(np.max(np.abs(x), initial=0.0))
