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
# Tolerance of the linear system of one step, where it is solved without a matrix: the next step solves another one.
_FORCING = 1e-3
# Tolerance of the linear system that checks a root: the size of a step is enough.
_CHECK = 0.1


class NewtonResult(NamedTuple):
    """The end of a solve: ``root`` is ``[B, n]``, the others ``[B]``.

    Attributes:
        root: the last iterate.
        status: a code of :mod:`status`.
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
    """The iterate before a step; ``scale`` is the largest magnitude of each leaf so far: ``[B, leaves]``."""

    u: tf.Tensor
    status: tf.Tensor
    iterations: tf.Tensor
    step: tf.Tensor
    scale: tf.Tensor


@dataclass(frozen=True)
class StepRule:
    """Which step of a sample is the last.

    The size of a step is relative to the largest value that the unknown had so far, leaf by leaf, so that neither the
    units of the unknown nor those of the equations matter.

    Attributes:
        tolerance: a smaller step is the last one.
        members: ``[leaves, n]``, 1 where an element belongs to a leaf.
    """

    tolerance: float
    members: np.ndarray

    def scale(self, u: tf.Tensor) -> tf.Tensor:
        """The largest magnitude in each leaf: ``[B, leaves]``."""
        return tf.reduce_max(tf.abs(u)[:, None, :] * self._members(u.dtype), 2)

    def relative_size(self, delta: tf.Tensor, scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The size of a step relative to the leaf where it is largest, and relative to all of u: ``[B]`` each."""
        sizes = self.scale(delta)
        by_leaf = tf.reduce_max(_relative(sizes, scale), 1)
        return by_leaf, _relative(tf.reduce_max(sizes, 1), tf.reduce_max(scale, 1))

    def is_last(self, by_leaf: tf.Tensor, by_all: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
        """Whether the step is the last: small, or kept from being smaller than the step ``before`` by rounding."""
        loose = max(self.tolerance, epsilon(by_leaf.dtype) ** 0.5)
        return (by_leaf <= self.tolerance) | ((by_all <= loose) & (by_leaf >= 0.8 * before))

    def _members(self, dtype: tf.DType) -> tf.Tensor:
        return tf.constant(self.members, dtype)


def step_rule(system: System, tolerance: float) -> StepRule:
    """The rule for the unknown of ``system``."""
    leaf_of_element = np.repeat(np.arange(len(system.sizes)), system.sizes)
    return StepRule(tolerance, (leaf_of_element == np.arange(len(system.sizes))[:, None]).astype(float))


@dataclass(frozen=True)
class NewtonEquations:
    """The equations at constant inputs, and how they are solved.

    Attributes:
        function: the residual, of u and the inputs.
        inputs: constants.
        linearize: to the residual at u and a solver with its Jacobian.
        rule: which step of a sample is the last.
    """

    function: Residual
    inputs: list[tf.Tensor]
    linearize: Linearization
    rule: StepRule

    def residual(self, u: tf.Tensor) -> tf.Tensor:
        """The residual at u: ``[B, n]``."""
        return self.function(u, self.inputs)

    def linearized(self, u: tf.Tensor) -> tuple[tf.Tensor, Solver]:
        """The residual at u, and a solver with its Jacobian there."""
        return self.linearize(self.function, u, self.inputs)


def newton(equations: NewtonEquations, start: tf.Tensor, max_steps: int, *, unrolled: bool) -> NewtonResult:
    """The root that Newton's method finds from ``start`` in ``max_steps`` steps; ``unrolled``: no loop, no damping."""
    batch = tf.zeros_like(start[:, 0])
    codes = tf.zeros_like(batch, tf.int32)
    state = _State(start, codes + ACTIVE, codes, batch + float("inf"), equations.rule.scale(start))

    def step(*before: Any) -> _State:
        return _step(equations, _State(*before), damped=not unrolled)

    def any_active(*before: Any) -> tf.Tensor:
        return tf.reduce_any(_State(*before).status == ACTIVE)

    if unrolled:
        once = tf.function(step, autograph=False)  # traced once, not for each step
        for _ in range(max_steps):
            state = _State(*once(*state))
    else:
        state = _State(*tf.while_loop(any_active, step, state, maximum_iterations=max_steps))
    status = tf.where(state.status == ACTIVE, UNFINISHED, state.status)
    residual = tf.reduce_max(tf.abs(equations.residual(state.u)), 1)
    return NewtonResult(state.u, status, state.iterations, state.step, residual)


def _step(equations: NewtonEquations, state: _State, *, damped: bool) -> _State:
    """The state after one step of each active sample."""
    residual, solver = equations.linearized(state.u)
    delta = -solver(residual, _FORCING)
    active = state.status == ACTIVE
    finite, solvable = _all_finite(residual), _all_finite(delta)
    going = active & finite & solvable
    delta = tf.where(going[:, None], delta, tf.zeros_like(delta))
    scale = tf.maximum(state.scale, equations.rule.scale(state.u + delta))
    by_leaf, by_all = equations.rule.relative_size(delta, scale)
    last = equations.rule.is_last(by_leaf, by_all, state.step)
    part = _damping(equations, solver, state.u, delta, residual, going & ~last) if damped else tf.ones_like(by_leaf)
    status = tf.where(last, CONVERGED, tf.where(part > 0, ACTIVE, STALLED))
    status = tf.where(solvable, status, SINGULAR)
    status = tf.where(finite, status, NOT_FINITE)
    u = state.u + part[:, None] * delta
    return _State(
        tf.where(going[:, None], u, state.u),
        tf.where(active, status, state.status),
        state.iterations + tf.cast(going, tf.int32),
        tf.where(active, by_leaf, state.step),
        tf.where(going[:, None], tf.maximum(state.scale, equations.rule.scale(u)), state.scale),
    )


def _damping(
    equations: NewtonEquations, solver: Solver, u: tf.Tensor, delta: tf.Tensor, residual: tf.Tensor, asked: tf.Tensor
) -> tf.Tensor:
    """The part of each step to take: the first of 1, 1/2, 1/4, ... that makes the residual smaller; 0 for none.

    ``asked``: the samples to damp; the others take the whole step.
    """
    before = _norm(solver.merit(residual))

    def tried(part: tf.Tensor, pending: tf.Tensor) -> Any:
        after = _norm(solver.merit(equations.residual(u + part[:, None] * delta)))
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


def check_root(equations: NewtonEquations, root: tf.Tensor) -> NewtonResult:
    """Whether the user's ``root`` is one, by the size of the step that Newton's method would take from there."""
    residual, solver = equations.linearized(root)
    delta = solver(residual, _CHECK)
    size, _ = equations.rule.relative_size(delta, equations.rule.scale(root))
    status = tf.where(size <= equations.rule.tolerance, CONVERGED, WRONG)
    status = tf.where(_all_finite(residual), tf.where(_all_finite(delta), status, SINGULAR), NOT_FINITE)
    return NewtonResult(root, status, tf.zeros_like(status), size, tf.reduce_max(tf.abs(residual), 1))


def _relative(size: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """size / scale; 0 for 0 / 0, an unknown that was 0 all the time."""
    return tf.where(size > 0, size / tf.where(scale > 0, scale, tf.ones_like(scale)), tf.zeros_like(size))


def _all_finite(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(x), 1)


def _norm(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(x * x, 1))
