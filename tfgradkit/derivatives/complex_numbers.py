"""Complex arguments and results: which mode gives all of a derivative, and where there is none.

A holomorphic function has its complex derivative, in every operator. Of others: real values by complex arguments have
∂y/∂Re x − i ∂y/∂Im x, complex values by real arguments ∂Re y/∂x + i ∂Im y/∂x. Of complex values by complex
arguments that are not holomorphic, reverse mode gives ∂Re y/∂Re x − i ∂Re y/∂Im x, forward mode ∂y/∂Re x, as JAX's do.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ..errors import GradientError
from .options import Mode
from .problem import Problem


def complex_mode(problem: Problem, ys: Sequence[tf.Tensor], connected: Sequence[Sequence[bool]], mode: Mode) -> Mode:
    """The mode in which nothing of a complex derivative is lost.

    Raises:
        GradientError: another one is asked for, or there are derivatives that need both.
    """
    needed = set()
    for y, row in zip(ys, connected, strict=True):
        for x, there in zip(problem.xs, row, strict=True):
            if there and y.dtype.is_complex != x.dtype.is_complex:
                needed.add("forward" if y.dtype.is_complex else "reverse")
    if not needed:
        return mode
    if len(needed) == 1 and mode in ("auto", *needed):
        return "forward" if "forward" in needed else "reverse"
    raise GradientError(
        "a part of the complex derivative would be lost",
        subject=problem.name,
        expected='mode="forward" for complex results of real arguments, "reverse" for real results of complex ones',
        got=f'mode="{mode}"',
        hint="argnums= and a function of one of the results, where both are needed",
    )


def refuse_complex_of_real(problem: Problem, ys: Sequence[tf.Tensor]) -> None:
    """Raises :class:`GradientError` where a gradient would be of complex values by real arguments: half of it."""
    if any(y.dtype.is_complex for y in ys) and not all(x.dtype.is_complex for x in problem.xs):
        raise GradientError(
            "the function has complex values of real arguments, which have no gradient",
            subject=problem.name,
            expected="real values, or complex arguments",
            hint="jacobian, which goes forward; or the real and the imaginary part, one by one",
        )


def refuse_real_of_complex(problem: Problem, ys: Sequence[tf.Tensor]) -> None:
    """Raises :class:`GradientError` where a Hessian would be of real values by complex arguments."""
    if any(x.dtype.is_complex for x in problem.xs) and not all(y.dtype.is_complex for y in ys):
        raise GradientError(
            "a Hessian by complex arguments is that of a holomorphic function, whose values are complex",
            subject=problem.name,
            expected="complex values, or real arguments",
            hint="a function of real and imaginary part: tf.complex(x, y)",
        )
