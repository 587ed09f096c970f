"""``implicit``: a function given by the equations that it solves, with derivatives by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from ...arguments import as_floating, dims, is_numbers, map_leaves
from ...derivatives.evaluate import Trace, signature_of
from ...differentiable import Differentiable
from ...errors import SignatureError
from ...op_gradients.exact_functions import exact_functions
from ...op_gradients.register_gradient import rules_in_force
from ...public import not_pickled, public
from ...sources.resolve import resolve
from .implicit_function_theorem import ImplicitFunction, captures
from .implicit_settings import Settings, Unconverged
from .newton import NewtonEquations, NewtonResult, judged, newton, rule_of
from .status import CONVERGED, NOT_FINITE, SINGULAR, STALLED, UNFINISHED, WRONG, assertions, raise_unsolved
from .system import System, is_floating, system_of


@public("types")
class Solution(NamedTuple):
    """What :meth:`Implicit.solve` returns; all but u are ``[B]``, or scalars where not batched.

    Attributes:
        u: the root; the last iterate in samples that have none.
        converged: whether it is one.
        iterations: Newton steps; 0 for a solver of the user's own.
        residual: the largest element of the residual, in magnitude.
        step: the last Newton step, relative to u; for a solver of the user's own the step that would follow.
    """

    u: Any
    converged: tf.Tensor
    iterations: tf.Tensor
    residual: tf.Tensor
    step: tf.Tensor


class _Outcome(NamedTuple):
    u: Any
    status: tf.Tensor
    iterations: tf.Tensor
    residual: tf.Tensor
    step: tf.Tensor


def implicit(
    residual: Any,
    solver: Callable[..., Any] | None = None,
    initial: Any = None,
    *,
    batched: bool | None = None,
    tolerance: float | None = None,
    max_iterations: int = 50,
    iterations: int | None = None,
    linear_solver: Any = "dense",
    linear_tolerance: float | None = None,
    unconverged: Unconverged = "raise",
) -> Implicit:
    """The function ``p ↦ u`` with ``residual(u, p) = 0``, differentiable to any order in both modes.

    Its derivatives come from the equations at the root, by the implicit function theorem, whatever found the
    root: by the parameters, by variables that the residual uses, and by tensors that it closes over. Works
    eagerly, in ``tf.function``, in Keras layers, in operators, under XLA, in SavedModels.

    Args:
        residual: ``residual(u, *p)``, as many elements as u has; a function, or a Keras model or layer. u
            and each p are any nest of tensors.
        solver: ``solver(*p) -> u``; nothing of it is differentiated, so that it may leave TensorFlow. Its result is
            checked. None: Newton's method, damped.
        initial: where Newton starts: tensors (those of one sample where batched), or a function of p (of the
            batch). None: zeros like the first p.
        batched: whether the first axis of u, p and the residual counts independent samples, each with a system of
            its own. None: True for Keras models and layers, else False.
        tolerance: of Newton's last step, relative to the largest element of each leaf of u. None: ε^(2/3) of the
            dtype, which the last step squares; for a ``solver`` ε^(1/2).
        max_iterations: of Newton's method.
        iterations: exactly so many undamped steps instead, without a loop: for exports to C.
        linear_solver: "dense" (the Jacobian as a matrix), "gmres" or "bicgstab" (products alone), or a function
            of (matvec, b) that returns x, both ``[B, n]``, B = 1 where not batched.
        linear_tolerance: of the residual of linear systems without a matrix, relative; None: ε^(3/4).
        unconverged: "raise", "nan" (in those samples), or "keep" the last iterate.

    Returns:
        An :class:`~tfgradkit.types.Implicit`, a function of p; its ``solve(*p)`` returns a
        :class:`~tfgradkit.types.Solution`, u and how it was found.

    Raises:
        SourceError: ``residual`` is no function or model.
        SignatureError: no such value of a keyword; from the call: shapes or dtypes that don't fit.
        ConvergenceError: from the call: no root was found, or the Jacobian is singular; in a graph of yours
            ``tf.errors.InvalidArgumentError`` with the same words; under XLA, which drops assertions, NaN.
        GradientError: from the call: batched, and the samples influence each other.

    References:
        A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 15; M. Blondel et al., "Efficient
        and modular implicit differentiation", NeurIPS 2022, arXiv 2105.15183.

    Example:
        >>> root = tgk.implicit(lambda u, p: u**2 - p, initial=lambda p: p)
        >>> round(root(4.0).numpy().item(), 5), round(tgk.gradient(root)(4.0).numpy().item(), 5)
        (2.0, 0.25)
    """
    settings = Settings(
        solver, initial, tolerance, max_iterations, iterations, linear_solver, linear_tolerance, unconverged
    )
    return Implicit(resolve(residual, batched=batched), settings)


@public("types")
@not_pickled("pickle the residual, and make the implicit function of it again")
class Implicit:
    """What :func:`implicit` returns: a function of p that every operator takes."""

    def __init__(self, source: Differentiable, settings: Settings) -> None:
        self.source = source
        self.settings = settings
        self._traces: dict[Any, Trace] = {}

    @tf.autograph.experimental.do_not_convert
    def __call__(self, *parameters: Any) -> Any:
        """u at the parameters.

        Args:
            parameters: nests of tensors, NumPy arrays or numbers, each ``[B] + p`` where batched.

        Returns:
            u, in the structure that ``initial`` or ``solver`` gives it.

        Raises:
            ConvergenceError: no root was found, or the Jacobian is singular.
            SignatureError: shapes or dtypes that don't fit.
            GradientError: batched, and the samples influence each other.
        """
        converted = self._converted(parameters)
        if not tf.executing_eagerly():
            return self._inlined(*converted)
        outcome = self._traced(converted)(converted, None)
        if self.settings.unconverged == "raise":
            self._raise(outcome)
        return outcome.u

    @tf.autograph.experimental.do_not_convert
    def solve(self, *parameters: Any) -> Solution:
        """u and how it was found; never raises for samples that have no root, whatever ``unconverged`` says.

        Args:
            parameters: as for the call.

        Returns:
            A :class:`~tfgradkit.types.Solution`.
        """
        keeping = Implicit(self.source, replace(self.settings, unconverged="keep"))
        converted = keeping._converted(parameters)
        if tf.executing_eagerly():
            keeping._traces = self._traces
            outcome = keeping._traced(converted)(converted, None)
        else:
            outcome = keeping._outcome(converted)
        return Solution(outcome.u, outcome.status == CONVERGED, *outcome[2:])

    def as_differentiable(self, batched: bool | None = None) -> Differentiable:
        """The function for an operator.

        Raises:
            SignatureError: ``batched`` differs from that of the residual.
        """
        if batched is not None and batched != self.source.batched:
            raise SignatureError(
                "batched differs from the implicit function's",
                subject=str(self),
                expected=self.source.batched,
                got=batched,
                hint="implicit(residual, batched=...)",
            )
        # The samples were found independent where the residual was traced.
        return Differentiable(
            call=self._inlined,
            name=str(self),
            batched=self.source.batched,
            variables=self.source.variables,
            trainable=self.source.trainable,
            layer_names=self.source.layer_names,
            argument_names=self.source.argument_names[1:],
            checked=True,
        )

    def __repr__(self) -> str:
        return f"implicit({self.source.name})"

    def _converted(self, parameters: Sequence[Any]) -> list[Any]:
        if not parameters:
            return []
        given = Differentiable(
            self._inlined, str(self), self.source.batched, argument_names=self.source.argument_names[1:]
        )
        floating = [i for i, p in enumerate(parameters) if all(map(_looks_floating, _leaves(p)))]
        return given.to_arguments(parameters, floating)

    def _traced(self, converted: list[Any]) -> Trace:
        batch = _batch(converted) if self.source.batched else None
        key = self.settings.unconverged, signature_of((converted, None), batch), rules_in_force()
        if key not in self._traces:
            self._traces[key] = Trace(
                lambda arguments, seed: _Evaluated(self._outcome(arguments)),
                converted,
                None,
                batch,
                jit_compile=False,
            )
        return self._traces[key]

    def _inlined(self, *parameters: Any) -> Any:
        """u in the current graph, with assertions."""
        return self._outcome(list(parameters), asserting=True).u

    def _outcome(self, parameters: list[Any], *, asserting: bool = False) -> _Outcome:
        with exact_functions():
            return self._found(parameters, asserting)

    def _found(self, parameters: list[Any], asserting: bool) -> _Outcome:
        inputs = [leaf for leaf in tf.nest.flatten(parameters) if is_floating(leaf)]
        fixed = tf.nest.map_structure(lambda p: tf.stop_gradient(p) if is_floating(p) else p, parameters)
        unknown, start = self._start(fixed)
        around = captures(self.source, unknown.packed(start), fixed, unknown.check)
        system = unknown.system(self.source.call, parameters)
        constant = [tf.stop_gradient(x) for x in inputs]
        linearize = self.settings.linearize(unknown.dtype, str(self))
        rule = rule_of(unknown, self.settings.step_tolerance(unknown.dtype))
        found = self._solved(NewtonEquations(system, constant, linearize, rule), start)
        root = self._admitted(found, asserting)
        _, solver = linearize(system, root, constant)
        u = ImplicitFunction(system, root, solver, inputs, around, separate=self.source.batched).value()
        facts = [found.status, found.iterations, found.residual, found.step]
        return _Outcome(unknown.packed(u), *(fact if self.source.batched else fact[0] for fact in facts))

    def _start(self, parameters: list[Any]) -> tuple[System, tf.Tensor]:
        """The unknown's layout, and Newton's start or the solver's result as vectors."""
        batched = self.source.batched
        batch: Any = next((dims(t)[0] for t in tf.nest.flatten(parameters) if _has_axis(t)), None) if batched else 1
        settings = self.settings
        if settings.solver is not None or callable(settings.initial):
            make = settings.solver or settings.initial
            u = _tensors(make(*parameters), parameters, "the solver's result" if settings.solver else "initial")
        elif settings.initial is not None:
            u = _tensors(settings.initial, parameters, "initial")
            if batched and batch is not None:
                u = tf.nest.map_structure(lambda leaf: tf.broadcast_to(leaf, [batch, *dims(leaf)]), u)
        else:
            u = self._zeros(parameters)
        if batched and batch is None:
            batch = dims(tf.nest.flatten(u)[0])[0]
        unknown = system_of(u, batched, batch, str(self))
        return unknown, tf.stop_gradient(unknown.flat(u))

    def _zeros(self, parameters: list[Any]) -> Any:
        if not parameters or not all(map(is_floating, tf.nest.flatten(parameters[0]))):
            raise SignatureError(
                "there is nothing that the unknown could be like",
                subject=str(self),
                expected="initial=, or a floating first parameter, like which it is zeros",
                got="no such parameter",
            )
        return tf.nest.map_structure(tf.zeros_like, parameters[0])

    def _solved(self, problem: NewtonEquations, start: tf.Tensor) -> NewtonResult:
        settings = self.settings
        if settings.solver is not None:
            return judged(problem, start)
        return newton(problem, start, settings.most, unrolled=settings.iterations is not None)

    def _admitted(self, found: NewtonResult, asserting: bool) -> tf.Tensor:
        """The root, NaN where there is none, unless it is to be kept."""
        root = tf.stop_gradient(found.root)
        if self.settings.unconverged == "keep":
            return root
        root = tf.where((found.status == CONVERGED)[:, None], root, tf.constant(float("nan"), root.dtype))
        if self.settings.unconverged == "nan" or not asserting:
            return root
        own = (WRONG,) if self.settings.solver else (UNFINISHED, STALLED)
        facts = found.status, found.iterations, found.step, found.residual
        checks = assertions(*facts, name=str(self), most=self.settings.most, codes=(*own, SINGULAR, NOT_FINITE))
        with tf.control_dependencies([check for check in checks if check is not None]):
            return tf.identity(root)

    def _raise(self, outcome: _Outcome) -> None:
        tolerance = self.settings.step_tolerance(tf.nest.flatten(outcome.u)[0].dtype)
        raise_unsolved(
            outcome.status,
            outcome.iterations,
            outcome.step,
            outcome.residual,
            name=str(self),
            tolerance=tolerance,
            most=self.settings.most,
            batched=self.source.batched,
        )


class _Evaluated(NamedTuple):
    """What a trace keeps of an evaluation."""

    results: _Outcome
    steps: tuple[Any, ...] = ()


def _tensors(u: Any, parameters: list[Any], role: str) -> Any:
    """What a user gave for u as tensors, of the parameters' dtype where it has none of its own."""
    like = next((t.dtype for t in tf.nest.flatten(parameters) if is_floating(t)), None)

    def tensor(leaf: Any, role: str, spec: Any) -> tf.Tensor:
        plain = is_numbers(leaf)
        return as_floating(leaf, role, like if plain else None)

    return map_leaves(tensor, u, None, role)


def _leaves(parameter: Any) -> list[Any]:
    return [parameter] if is_numbers(parameter) else tf.nest.flatten(parameter)


def _looks_floating(leaf: Any) -> bool:
    if leaf is None or isinstance(leaf, (str, bool, int)) or callable(leaf):
        return False
    try:
        return tf.as_dtype(getattr(leaf, "dtype", None) or tf.convert_to_tensor(leaf).dtype).is_floating
    except (TypeError, ValueError):
        return False


def _has_axis(leaf: Any) -> bool:
    return isinstance(leaf, tf.Tensor) and bool(leaf.shape.rank)


def _batch(converted: list[Any]) -> int | None:
    return next((t.shape[0] for t in tf.nest.flatten(converted) if _has_axis(t)), None)
