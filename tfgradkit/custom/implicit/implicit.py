"""``implicit``: a function given by the equations that it solves, with derivatives by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from ...arguments import is_numbers
from ...derivatives.evaluate import Trace, signature_of
from ...differentiable import Differentiable
from ...errors import SignatureError
from ...op_gradients.register_gradient import rules_in_force
from ...public import not_pickled, public
from ...sources.resolve import resolve
from .find_root import Root, find_root, has_axis
from .implicit_settings import Settings, Unconverged
from .status import CONVERGED, raise_unsolved


@public("types")
class Solution(NamedTuple):
    """What ``Implicit.solve`` returns; all but u are ``[B]``, or scalars where not batched.

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
    """What :func:`~tfgradkit.implicit` returns: a function of p that every operator takes."""

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
        root = self._traced(converted)(converted, None)
        if self.settings.unconverged == "raise":
            self._raise(root)
        return root.u

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
            root = keeping._traced(converted)(converted, None)
        else:
            root = keeping._root(converted)
        return Solution(root.u, root.status == CONVERGED, *root[2:])

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
        # The samples are checked to be independent where the residual is traced.
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
        """The parameters as tensors."""
        if not parameters:
            return []
        names = self.source.argument_names[1:]
        function = Differentiable(self._inlined, str(self), self.source.batched, argument_names=names)
        floating = [i for i, p in enumerate(parameters) if all(map(_looks_floating, _leaves(p)))]
        return function.to_arguments(parameters, floating)

    def _traced(self, converted: list[Any]) -> Trace:
        """The trace for parameters like these, under the rules in force."""
        batch = _batch(converted) if self.source.batched else None
        key = self.settings.unconverged, signature_of((converted, None), batch), rules_in_force()
        if key not in self._traces:
            self._traces[key] = Trace(
                lambda arguments, seed: _Evaluated(self._root(arguments)),
                converted,
                None,
                batch,
                jit_compile=False,
            )
        return self._traces[key]

    def _inlined(self, *parameters: Any) -> Any:
        """u in the current graph, with assertions."""
        return self._root(list(parameters), asserting=True).u

    def _root(self, parameters: list[Any], *, asserting: bool = False) -> Root:
        return find_root(self.source, self.settings, str(self), parameters, asserting=asserting)

    def _raise(self, root: Root) -> None:
        """Raises :class:`ConvergenceError` for the first sample that has no root."""
        raise_unsolved(
            root.status,
            root.iterations,
            root.step,
            root.residual,
            name=str(self),
            tolerance=self.settings.step_tolerance(tf.nest.flatten(root.u)[0].dtype),
            max_steps=self.settings.max_steps,
            batched=self.source.batched,
        )


class _Evaluated(NamedTuple):
    """What a trace keeps of an evaluation."""

    results: Root
    steps: tuple[Any, ...] = ()


def _leaves(parameter: Any) -> list[Any]:
    return [parameter] if is_numbers(parameter) else tf.nest.flatten(parameter)


def _looks_floating(leaf: Any) -> bool:
    if leaf is None or isinstance(leaf, (str, bool, int)) or callable(leaf):
        return False
    try:
        return tf.as_dtype(getattr(leaf, "dtype", None) or tf.convert_to_tensor(leaf).dtype).is_floating
    except (TypeError, ValueError):
        return False


def _batch(converted: list[Any]) -> int | None:
    return next((t.shape[0] for t in tf.nest.flatten(converted) if has_axis(t)), None)
