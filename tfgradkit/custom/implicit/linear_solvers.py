"""Solving with the Jacobian of the equations by u: by its inverse as a matrix, or by its products alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol

import tensorflow as tf

from ...derivatives.jacobian import jacobian_blocks
from ...derivatives.options import Options
from ...derivatives.problem import Problem
from ...derivatives.pullback import or_zeros, pullback, transposed
from ...errors import SignatureError
from .batched_solvers import Matvec, bicgstab, gmres, invert, times
from .system import Residual

# (matvec, b, tolerance) -> x, where x solves Ax = b.
SolverMethod = Callable[[Matvec, tf.Tensor, float], tf.Tensor]
METHODS: dict[str, SolverMethod] = {"gmres": gmres, "bicgstab": bicgstab}


class Solver(Protocol):
    """A⁻¹ as a constant: no derivative goes through it."""

    @property
    def tensors(self) -> list[tf.Tensor]:
        """The tensors that it is made of."""

    def of(self, tensors: list[tf.Tensor]) -> Solver:
        """The same solver, made of other tensors."""

    @property
    def T(self) -> Solver:  # noqa: N802  NumPy's name
        """A⁻ᵀ."""

    def __call__(self, b: tf.Tensor, tolerance: float | None = None) -> tf.Tensor:
        """A⁻¹b for b ``[B, n]``; not finite in samples whose A is singular."""

    def merit(self, residual: tf.Tensor) -> tf.Tensor:
        """The residual ``[B, n]`` in comparable units: a step is good where its norm falls."""


@dataclass(frozen=True)
class Dense:
    """The inverse as a matrix ``[B, n, n]``, NaN in samples whose A is singular."""

    inverse: tf.Tensor

    @property
    def tensors(self) -> list[tf.Tensor]:
        """The inverse."""
        return [self.inverse]

    def of(self, tensors: list[tf.Tensor]) -> Dense:
        """With another inverse."""
        return Dense(*tensors)

    @property
    def T(self) -> Dense:  # noqa: N802
        """A⁻ᵀ."""
        return Dense(tf.transpose(self.inverse, [0, 2, 1]))

    def __call__(self, b: tf.Tensor, tolerance: float | None = None) -> tf.Tensor:
        """A⁻¹b."""
        return times(self.inverse, b)

    def merit(self, residual: tf.Tensor) -> tf.Tensor:
        """In units of the unknown: the natural test of P. Deuflhard, "Newton Methods" (2004), ch. 3.3."""
        return times(self.inverse, residual)


@dataclass(frozen=True)
class MatrixFree:
    """An iterative method for each b, by products with the Jacobian of ``residual`` by u.

    Attributes:
        residual: the equations.
        tensors: u, and the inputs of the equations.
        method: the iterative method.
        tolerance: of the linear system.
        transposed: whether it solves with Aᵀ.
    """

    residual: Residual
    tensors: list[tf.Tensor]
    method: SolverMethod
    tolerance: float
    transposed: bool = False

    def of(self, tensors: list[tf.Tensor]) -> MatrixFree:
        """At other tensors."""
        return replace(self, tensors=tensors)

    @property
    def T(self) -> MatrixFree:  # noqa: N802
        """A⁻ᵀ."""
        return replace(self, transposed=not self.transposed)

    def __call__(self, b: tf.Tensor, tolerance: float | None = None) -> tf.Tensor:
        """A⁻¹b."""
        u, *inputs = self.tensors
        pull = pullback(lambda xs: [self.residual(xs[0], inputs)], [u])
        product = pull.product if self.transposed else transposed(pull)

        def matvec(v: tf.Tensor) -> tf.Tensor:
            return or_zeros(product([v])[0], v)

        return tf.stop_gradient(self.method(matvec, tf.stop_gradient(b), tolerance or self.tolerance))

    def merit(self, residual: tf.Tensor) -> tf.Tensor:
        """The residual itself."""
        return residual


Linearization = Callable[[Residual, tf.Tensor, list[tf.Tensor]], tuple[tf.Tensor, Solver]]


def linearizer(
    choice: Any, tolerance: float, name: str, tie: Literal["forward", "reverse"] = "reverse"
) -> Linearization:
    """The function from equations, u and their inputs to the residual and a solver there, all constant.

    ``tie`` is the mode of a dense Jacobian.

    Raises:
        SignatureError: no such linear solver.
    """
    if choice == "dense":
        return partial(_dense, name, tie)
    method = METHODS.get(choice) if isinstance(choice, str) else _user_method(choice) if callable(choice) else None
    if method is None:
        raise SignatureError(
            "no such linear solver",
            subject="linear_solver",
            expected='"dense" | "gmres" | "bicgstab" | a function of (matvec, b)',
            got=repr(choice),
        )
    return partial(_matrix_free, method, tolerance)


def _user_method(function: Callable[[Matvec, tf.Tensor], Any]) -> SolverMethod:
    return lambda matvec, b, tolerance: tf.ensure_shape(tf.cast(function(matvec, b), b.dtype), b.shape)


def _dense(
    name: str, tie: Literal["forward", "reverse"], residual: Residual, u: tf.Tensor, inputs: list[tf.Tensor]
) -> tuple[tf.Tensor, Solver]:
    def f(xs: list[tf.Tensor], copies: Any) -> list[tf.Tensor]:
        return [residual(xs[0], inputs)]

    pull, blocks = jacobian_blocks(Problem(f, [u], name, True, Options(prefer_mode_when_equal=tie), inlined=True))
    matrix = blocks[0][0]
    assert matrix is not None  # zeros, where nothing is connected
    inverse, singular = invert(matrix)
    nan = tf.constant(float("nan"), u.dtype)
    return pull.ys[0], Dense(tf.where(singular[:, None, None], nan, inverse))


def _matrix_free(
    method: SolverMethod, tolerance: float, residual: Residual, u: tf.Tensor, inputs: list[tf.Tensor]
) -> tuple[tf.Tensor, Solver]:
    return residual(u, inputs), MatrixFree(residual, [u, *inputs], method, tolerance)
