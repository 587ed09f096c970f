"""Newton's method for a batch of systems: each sample takes its own steps, and stops when it is done.

Steps are damped so that the residual falls, by the natural monotonicity test where there is a matrix
(P. Deuflhard, "Newton Methods for Nonlinear Problems", 2004, ch. 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from .batched_solvers import epsilon
from .linear_solvers import Linearization, Solver
from .status import ACTIVE, CONVERGED, NOT_FINITE, SINGULAR, STALLED, UNFINISHED, WRONG
from .system import Residual, System

# Halvings of a step before Newton's direction is given up.
_HALVINGS = 12
# Of a linear system within a step, without a matrix: it is solved again at the next.
_FORCING = 1e-3


class NewtonResult(NamedTuple):
    """What a solver came to, sample by sample: ``[B, n]`` and ``[B]``.

    Attributes:
        root: the last iterate.
        status: a code of :mod:`outcome`.
        iterations: steps taken.
        step: the last Newton step, relative to the size of the unknown.
        residual: the largest element of the residual, in magnitude.
    """

    root: tf.Tensor
    status: tf.Tensor
    iterations: tf.Tensor
    step: tf.Tensor
    residual: tf.Tensor


class _State(NamedTuple):
    u: tf.Tensor
    status: tf.Tensor
    iterations: tf.Tensor
    step: tf.Tensor
    scale: tf.Tensor


@dataclass(frozen=True)
class StepRule:
    """When a sample is done.

    A step is measured against the largest value that the unknown had so far, leaf by leaf, so that neither the units
    of the unknown nor those of the equations matter.

    Attributes:
        tolerance: a step below that is the last one.
        members: ``[leaves, n]``, 1 where an element belongs to a leaf.
    """

    tolerance: float
    members: np.ndarray

    def scale(self, u: tf.Tensor) -> tf.Tensor:
        """The largest magnitude in each leaf: ``[B, leaves]``."""
        return tf.reduce_max(tf.abs(u)[:, None, :] * self._members(u.dtype), 2)

    def measured(self, delta: tf.Tensor, scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A step relative to its own leaf and to all of u: ``[B]`` each."""
        sizes = self.scale(delta)
        own = tf.reduce_max(_relative(sizes, scale), 1)
        return own, _relative(tf.reduce_max(sizes, 1), tf.reduce_max(scale, 1))

    def done(self, own: tf.Tensor, whole: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
        """Whether the step is the last: small, or no smaller than the one before for rounding."""
        loose = max(self.tolerance, epsilon(own.dtype) ** 0.5)
        return (own <= self.tolerance) | ((whole <= loose) & (own >= 0.8 * before))

    def _members(self, dtype: tf.DType) -> tf.Tensor:
        return tf.constant(self.members, dtype)


def rule_of(unknown: System, tolerance: float) -> StepRule:
    """The rule for an unknown of several leaves."""
    owners = np.repeat(np.arange(len(unknown.sizes)), unknown.sizes)
    return StepRule(tolerance, (owners == np.arange(len(unknown.sizes))[:, None]).astype(float))


@dataclass(frozen=True)
class NewtonEquations:
    """What is solved.

    Attributes:
        system: the equations.
        inputs: what they take beside u, constants.
        linearize: how linear systems are solved.
        rule: when a sample is done.
    """

    system: Residual
    inputs: list[tf.Tensor]
    linearize: Linearization
    rule: StepRule

    def residual(self, u: tf.Tensor) -> tf.Tensor:
        """``[B, n]``."""
        return self.system(u, self.inputs)

    def linearized(self, u: tf.Tensor) -> tuple[tf.Tensor, Solver]:
        """The residual at u, and what solves with its Jacobian."""
        return self.linearize(self.system, u, self.inputs)


def newton(problem: NewtonEquations, start: tf.Tensor, most: int, *, unrolled: bool) -> NewtonResult:
    """The root that Newton's method finds from ``start`` in ``most`` steps; ``unrolled`` without a loop or damping."""
    batch = tf.zeros_like(start[:, 0])
    codes = tf.zeros_like(batch, tf.int32)
    state = _State(start, codes + ACTIVE, codes, batch + float("inf"), problem.rule.scale(start))

    def step(*given: Any) -> _State:
        return _stepped(problem, _State(*given), damped=not unrolled)

    def going(*given: Any) -> tf.Tensor:
        return tf.reduce_any(_State(*given).status == ACTIVE)

    if unrolled:
        once = tf.function(step, autograph=False)  # traced once, not for each step
        for _ in range(most):
            state = _State(*once(*state))
    else:
        state = _State(*tf.while_loop(going, step, state, maximum_iterations=most))
    status = tf.where(state.status == ACTIVE, UNFINISHED, state.status)
    residual = tf.reduce_max(tf.abs(problem.residual(state.u)), 1)
    return NewtonResult(state.u, status, state.iterations, state.step, residual)


def _stepped(problem: NewtonEquations, state: _State, *, damped: bool) -> _State:
    residual, solver = problem.linearized(state.u)
    delta = -solver(residual, _FORCING)
    active = state.status == ACTIVE
    sound, solvable = _finite(residual), _finite(delta)
    going = active & sound & solvable
    delta = tf.where(going[:, None], delta, tf.zeros_like(delta))
    scale = tf.maximum(state.scale, problem.rule.scale(state.u + delta))
    own, whole = problem.rule.measured(delta, scale)
    last = problem.rule.done(own, whole, state.step)
    part = _damping(problem, solver, state.u, delta, residual, going & ~last) if damped else tf.ones_like(own)
    status = tf.where(last, CONVERGED, tf.where(part > 0, ACTIVE, STALLED))
    status = tf.where(solvable, status, SINGULAR)
    status = tf.where(sound, status, NOT_FINITE)
    u = state.u + part[:, None] * delta
    return _State(
        tf.where(going[:, None], u, state.u),
        tf.where(active, status, state.status),
        state.iterations + tf.cast(going, tf.int32),
        tf.where(active, own, state.step),
        tf.where(going[:, None], tf.maximum(state.scale, problem.rule.scale(u)), state.scale),
    )


def _damping(
    problem: NewtonEquations, solver: Solver, u: tf.Tensor, delta: tf.Tensor, residual: tf.Tensor, asked: tf.Tensor
) -> tf.Tensor:
    """The part of each step to take: 1, 1/2, 1/4, ... the first that makes the residual smaller; 0 for none."""
    before = _size(solver.merit(residual))

    def tried(part: tf.Tensor, pending: tf.Tensor) -> Any:
        after = _size(solver.merit(problem.residual(u + part[:, None] * delta)))
        # Outside of the equations' domain, the residual may be NaN.
        pending &= (after > (1 - part / 4) * before) | ~tf.math.is_finite(after)
        return tf.where(pending, part / 2, part), pending

    part, pending = tf.while_loop(
        lambda part, pending: tf.reduce_any(pending),
        tried,
        (tf.ones_like(before), asked),
        maximum_iterations=_HALVINGS,
    )
    return tf.where(pending, tf.zeros_like(part), part)


def judged(problem: NewtonEquations, root: tf.Tensor) -> NewtonResult:
    """Whether somebody else's ``root`` is one: how large a step Newton would take from there."""
    residual, solver = problem.linearized(root)
    delta = solver(residual, 0.1)
    own, _ = problem.rule.measured(delta, problem.rule.scale(root))
    status = tf.where(own <= problem.rule.tolerance, CONVERGED, WRONG)
    status = tf.where(_finite(residual), tf.where(_finite(delta), status, SINGULAR), NOT_FINITE)
    return NewtonResult(root, status, tf.zeros_like(status), own, tf.reduce_max(tf.abs(residual), 1))


def _relative(size: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """size / scale; 0 for 0 / 0: an unknown that was never anything else."""
    return tf.where(size > 0, size / tf.where(scale > 0, scale, tf.ones_like(scale)), tf.zeros_like(size))


def _finite(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(x), 1)


def _size(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(x * x, 1))
