"""The keywords of ``implicit``, checked, and what follows from them: tolerances, steps and the linear solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import tensorflow as tf

from ...errors import SignatureError
from .batched_solvers import epsilon
from .linear_solvers import Linearization, linearizer

Unconverged = Literal["raise", "nan", "keep"]


@dataclass(frozen=True)
class Settings:
    """The keywords of :func:`tfgradkit.implicit`; see there."""

    solver: Callable[..., Any] | None
    initial: Any
    tolerance: float | None
    max_iterations: int
    iterations: int | None
    linear_solver: Any
    linear_tolerance: float | None
    unconverged: Unconverged

    def __post_init__(self) -> None:
        for name in ("tolerance", "linear_tolerance"):
            _check(name, getattr(self, name), (int, float), lambda v: v > 0, "None | a number above 0")
        whole = "a whole number from 1 on"
        _check("iterations", self.iterations, int, lambda v: v >= 1, f"None | {whole}")
        _check("max_iterations", self.max_iterations, int, lambda v: v >= 1, whole, required=True)
        choices = get_args(Unconverged)
        if self.unconverged not in choices:
            expected = " | ".join(f'"{choice}"' for choice in choices)
            raise SignatureError("no such choice", subject="unconverged", expected=expected, got=repr(self.unconverged))
        if self.solver is not None and not callable(self.solver):
            raise SignatureError(
                "the solver is no function", expected="solver(*p) -> u, or None", got=type(self.solver).__name__
            )
        if self.solver is not None and (self.initial is not None or self.iterations is not None):
            raise SignatureError(
                "a solver of your own starts where it wants",
                expected="solver= alone, or initial= and iterations= for Newton's method",
                got="both",
            )
        linearizer(self.linear_solver, 1.0, "")

    @property
    def max_steps(self) -> int:
        """The largest number of Newton steps."""
        return self.iterations or self.max_iterations

    def step_tolerance(self, dtype: tf.DType) -> float:
        """The tolerance of the last Newton step, which squares it; of a user's solver it bounds the error itself."""
        return self.tolerance or epsilon(dtype) ** (2 / 3 if self.solver is None else 1 / 2)

    def linearize(self, dtype: tf.DType, name: str) -> Linearization:
        """The linear solver, as accurate as the dtype allows."""
        # A function for a C library has a fixed number of steps; forward mode keeps its matrix products' layout.
        tie: Literal["forward", "reverse"] = "reverse" if self.iterations is None else "forward"
        return linearizer(self.linear_solver, self.linear_tolerance or epsilon(dtype) ** 0.75, name, tie)


def _check(
    name: str, value: Any, kind: Any, holds: Callable[[Any], bool], expected: str, *, required: bool = False
) -> None:
    if value is None and not required:
        return
    if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
        raise SignatureError("no such number", subject=name, expected=expected, got=repr(value))
