"""The result of ``check_gradients``, for programs and for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...derivatives.op_by_op.wrong_op import WrongOp
from ...public import public

CheckStatus = Literal["right", "wrong", "nan", "kink", "noise"]
_SAYS: dict[CheckStatus, str] = {
    "right": "agree",
    "wrong": "the derivative is wrong: is there a tf.custom_gradient, a tf.stop_gradient, or an op without gradient?",
    "nan": "the derivative is not finite: tgk.locate_nonfinite(fn, …) says which op makes it so, and what to write",
    "kink": "the function has a kink or a jump here, where it has no derivative: check at another point",
    "noise": "the function's values scatter, so nobody can tell: random numbers, or an iteration that stops early?",
}


@public("types")
@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        order: of the derivative.
        method: "differences", "forward against reverse" or "symmetry"; "differences of one op" for a
            ``tf.custom_gradient`` by itself.
        place: of which result and by which argument, by number; for one op, where that is.
        error: relative to the largest component of that result's derivative, or to what rounding leaves of the value
            where that is more; NaN where the derivative is not finite.
        status: "right", "wrong", "nan", "kink" or "noise".
        op: for one op, which.
        pair: the numbers of the result and of the argument.
    """

    order: int
    method: str
    place: str
    error: float
    status: CheckStatus
    op: WrongOp | None = None
    pair: tuple[int, int] | None = None

    @property
    def digits(self) -> float:
        """How many digits agree, 0 to 15.7."""
        return float(np.clip(-np.log10(max(self.error, 2.0**-52)), 0.0, None)) if np.isfinite(self.error) else 0.0

    def __str__(self) -> str:
        return f"order {self.order}, {self.method}, {self.place}: {self.digits:.1f} digits, {_SAYS[self.status]}"


@public("types")
@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradients` found.

    Attributes:
        findings: every comparison.
        dtype: what was calculated in.
        note: why that isn't float64, or None.
        wrong_ops: where a wrong derivative begins: the ops whose gradient is wrong, what matters most first.
    """

    findings: tuple[Finding, ...]
    dtype: str
    note: str | None = None
    wrong_ops: tuple[WrongOp, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every comparison agrees."""
        return self.status == "right"

    @property
    def status(self) -> CheckStatus:
        """The worst: "wrong", then "nan", "noise", "kink", "right"."""
        found = {finding.status for finding in self.findings}
        order: tuple[CheckStatus, ...] = ("wrong", "nan", "noise", "kink")
        return next((status for status in order if status in found), "right")

    @property
    def max_error(self) -> float:
        """The largest relative error; NaN where a derivative is not finite."""
        return float(np.max([finding.error for finding in self.findings], initial=0.0))

    @property
    def digits(self) -> float:
        """How many digits agree everywhere."""
        return min((finding.digits for finding in self.findings), default=0.0)

    def __str__(self) -> str:
        head = f"{'right' if self.ok else self.status}: {self.digits:.1f} digits, in {self.dtype}"
        lines = [head, *([f"  {self.note}"] if self.note else []), *(f"  {op}" for op in self.wrong_ops)]
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])
