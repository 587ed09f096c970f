"""The root of an implicit function at given parameters: the start, the search, the check, and the derivatives.

All of it is written into the current graph. Newton's method and a user's solver give a constant; the derivatives are
those of the implicit function theorem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from ...arguments import as_floating, dims, is_numbers, map_leaves
from ...differentiable import Differentiable
from ...errors import SignatureError
from ...op_gradients.exact_functions import exact_functions
from .implicit_function_theorem import ImplicitFunction, captures
from .implicit_settings import Settings
from .newton import NewtonEquations, NewtonResult, check_root, newton, step_rule
from .status import CONVERGED, NOT_FINITE, SINGULAR, STALLED, UNFINISHED, WRONG, assertions
from .system import System, is_floating, system_of


class Root(NamedTuple):
    """u, and how it was found; all but u are ``[B]``, or scalars where not batched.

    Attributes:
        u: the root, in its structure; in samples that have none as ``unconverged`` says.
        status: a code of :mod:`status`.
        iterations: Newton steps.
        residual: the largest element of the residual, in magnitude.
        step: the last Newton step, relative to u.
    """

    u: Any
    status: tf.Tensor
    iterations: tf.Tensor
    residual: tf.Tensor
    step: tf.Tensor


def find_root(
    source: Differentiable, settings: Settings, name: str, parameters: list[Any], *, asserting: bool = False
) -> Root:
    """The root of ``source(u, *parameters) = 0`` in the current graph, differentiable by parameters and captures.

    Args:
        source: the residual.
        settings: the user's.
        name: of the implicit function, for messages.
        parameters: nests of tensors.
        asserting: whether samples without a root end in an assertion, where ``settings`` say "raise".

    Raises:
        SignatureError: shapes or dtypes that don't fit.
        GradientError: batched, and the samples influence each other.
    """
    with exact_functions():
        return _Search(source, settings, name).root(parameters, asserting)


@dataclass(frozen=True)
class _Search:
    source: Differentiable
    settings: Settings
    name: str

    def root(self, parameters: list[Any], asserting: bool) -> Root:
        inputs = [leaf for leaf in tf.nest.flatten(parameters) if is_floating(leaf)]
        fixed = tf.nest.map_structure(lambda p: tf.stop_gradient(p) if is_floating(p) else p, parameters)
        system, start = self._start(fixed)
        around = captures(self.source, system.packed(start), fixed, system.check)
        residual = system.equations(self.source.call, parameters)
        constants = [tf.stop_gradient(x) for x in inputs]
        linearize = self.settings.linearize(system.dtype, self.name)
        rule = step_rule(system, self.settings.step_tolerance(system.dtype))
        result = self._solve(NewtonEquations(residual, constants, linearize, rule), start)
        root = self._checked(result, asserting)
        _, solver = linearize(residual, root, constants)
        u = ImplicitFunction(residual, root, solver, inputs, around, separate=self.source.batched).value()
        facts = [result.status, result.iterations, result.residual, result.step]
        return Root(system.packed(u), *(fact if self.source.batched else fact[0] for fact in facts))

    def _start(self, parameters: list[Any]) -> tuple[System, tf.Tensor]:
        """The layout of u, and Newton's start or the solver's result as vectors ``[B, n]``."""
        batched = self.source.batched
        batch: Any = next((dims(t)[0] for t in tf.nest.flatten(parameters) if has_axis(t)), None) if batched else 1
        u = self._start_in_structure(parameters, batch)
        if batched and batch is None:
            batch = dims(tf.nest.flatten(u)[0])[0]
        system = system_of(u, batched, batch, self.name)
        return system, tf.stop_gradient(system.flat(u))

    def _start_in_structure(self, parameters: list[Any], batch: Any) -> Any:
        settings = self.settings
        if settings.solver is not None or callable(settings.initial):
            make = settings.solver or settings.initial
            return _tensors(make(*parameters), parameters, "the solver's result" if settings.solver else "initial")
        if settings.initial is None:
            return self._zeros(parameters)
        u = _tensors(settings.initial, parameters, "initial")
        if self.source.batched and batch is not None:
            u = tf.nest.map_structure(lambda leaf: tf.broadcast_to(leaf, [batch, *dims(leaf)]), u)
        return u

    def _zeros(self, parameters: list[Any]) -> Any:
        """Zeros like the first parameter.

        Raises:
            SignatureError: there is none, or it is not floating.
        """
        if not parameters or not all(map(is_floating, tf.nest.flatten(parameters[0]))):
            raise SignatureError(
                "there is nothing that the unknown could be like",
                subject=self.name,
                expected="initial=, or a floating first parameter, like which it is zeros",
                got="no such parameter",
            )
        return tf.nest.map_structure(tf.zeros_like, parameters[0])

    def _solve(self, equations: NewtonEquations, start: tf.Tensor) -> NewtonResult:
        settings = self.settings
        if settings.solver is not None:
            return check_root(equations, start)
        return newton(equations, start, settings.max_steps, unrolled=settings.iterations is not None)

    def _checked(self, result: NewtonResult, asserting: bool) -> tf.Tensor:
        """The root, NaN in samples without one unless the last iterate is to be kept; with assertions, if asked for."""
        settings, root = self.settings, tf.stop_gradient(result.root)
        if settings.unconverged == "keep":
            return root
        root = tf.where((result.status == CONVERGED)[:, None], root, tf.constant(float("nan"), root.dtype))
        if settings.unconverged == "nan" or not asserting:
            return root
        codes = (*((WRONG,) if settings.solver else (UNFINISHED, STALLED)), SINGULAR, NOT_FINITE)
        facts = result.status, result.iterations, result.step, result.residual
        checks = assertions(*facts, name=self.name, max_steps=settings.max_steps, codes=codes)
        with tf.control_dependencies([check for check in checks if check is not None]):
            return tf.identity(root)


def _tensors(u: Any, parameters: list[Any], role: str) -> Any:
    """The user's start or result as tensors, of the parameters' dtype where it has none of its own."""
    like = next((t.dtype for t in tf.nest.flatten(parameters) if is_floating(t)), None)

    def tensor(leaf: Any, role: str, spec: Any) -> tf.Tensor:
        return as_floating(leaf, role, like if is_numbers(leaf) else None)

    return map_leaves(tensor, u, None, role)


def has_axis(leaf: Any) -> bool:
    """Whether ``leaf`` is a tensor of at least one axis."""
    return isinstance(leaf, tf.Tensor) and bool(leaf.shape.rank)
