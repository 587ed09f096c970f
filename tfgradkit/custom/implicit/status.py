"""How a solve ended, sample by sample, and how its caller hears of a failure: by an exception or by an assertion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ...derivatives.failures.runtime_errors import assertion
from ...errors import ConvergenceError

# ACTIVE is the status of a sample while Newton's method goes on.
CONVERGED, ACTIVE, UNFINISHED, STALLED, SINGULAR, NOT_FINITE, WRONG = 0, -1, 1, 2, 3, 4, 5
_TEXTS = {
    UNFINISHED: (
        "no root was found in {max_steps} Newton steps",
        "another initial=; a larger max_iterations= (or iterations=); or a looser tolerance=",
    ),
    STALLED: (
        "no step in Newton's direction makes the residual smaller",
        "another initial=; is the residual smooth, and does it have a root?",
    ),
    SINGULAR: (
        "the Jacobian of the residual by the unknown is singular",
        "another initial=; does each unknown have an equation of its own? without a matrix, another linear_solver=",
    ),
    NOT_FINITE: ("the residual is not finite", "another initial=; are the parameters finite?"),
    WRONG: (
        "what the solver returned is no root",
        "a tighter tolerance in the solver; or tolerance=, which is relative to the unknown",
    ),
}


def message_of(code: int, max_steps: int) -> tuple[str, str]:
    """What failed, and a hint what to try."""
    what, hint = _TEXTS[code]
    return what.format(max_steps=max_steps), hint


def raise_unsolved(
    status: tf.Tensor,
    iterations: tf.Tensor,
    step: tf.Tensor,
    residual: tf.Tensor,
    *,
    name: str,
    tolerance: float,
    max_steps: int,
    batched: bool,
) -> None:
    """Raises :class:`ConvergenceError` for the first sample that has no root."""
    codes = np.atleast_1d(status.numpy())
    failed = np.flatnonzero(codes)
    if failed.size == 0:
        return
    first = int(failed[0])
    norm, last, count = (np.atleast_1d(x.numpy())[first] for x in (residual, step, iterations))
    what, hint = message_of(int(codes[first]), max_steps)
    raise ConvergenceError(
        what,
        subject=name,
        expected=f"a Newton step of at most {tolerance:.1e} of the unknown",
        got=_facts(first if batched else None, float(norm), float(last), int(count), failed.size, codes.size),
        hint=hint,
        sample=first if batched else None,
        norm=float(norm),
        step=float(last),
        iterations=int(count),
    )


def _facts(sample: int | None, norm: float, step: float, iterations: int, failed: int, samples: int) -> str:
    parts = [] if sample is None else [f"sample {sample}"]
    parts += [f"a residual of {norm:.3e}", f"a step of {step:.1e}", f"{iterations} iterations"]
    parts += [] if sample is None else [f"{failed} of {samples} samples failed"]
    return ", ".join(parts)


def assertions(
    status: tf.Tensor,
    iterations: tf.Tensor,
    step: tf.Tensor,
    residual: tf.Tensor,
    *,
    name: str,
    max_steps: int,
    codes: Sequence[int],
) -> list[tf.Operation]:
    """Assertions for a graph, which can't raise :class:`ConvergenceError`: one for each of ``codes``."""
    checks = []
    for code in codes:
        what, hint = message_of(code, max_steps)
        failed = status == code
        first = tf.argmax(failed, output_type=tf.int32)
        facts = {
            "sample": first,
            "residual": tf.gather(residual, first),
            "step": tf.gather(step, first),
            "iterations": tf.gather(iterations, first),
        }
        checks.append(assertion(~tf.reduce_any(failed), what, name, facts, hint))
    return checks
