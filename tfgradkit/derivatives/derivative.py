"""``Derivative``: what an operator returns. Traced once per input signature, then only called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import tensorflow as tf

from ..differentiable import Differentiable, as_floating, shape_text
from ..errors import SignatureError
from ..rules.moments import exact_moments
from .compute import OPERATORS, Parts, Point, fit
from .shapes import dims
from .strategy import Mode, Strategy, Unconnected, check_choice

SEED_NAMES = {"vjp": "output_gradients", "jvp": "tangents", "hvp": "tangents"}


@dataclass(frozen=True)
class Options:
    """The keywords all operators share; see :mod:`tfgradkit.derivatives.operators`."""

    mode: Mode = "auto"
    strategy: Strategy = "auto"
    unconnected: Unconnected = "zero"
    jit_compile: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        for name in ("mode", "strategy", "unconnected"):
            check_choice(name, getattr(self, name))
        if self.jit_compile not in (True, False, "auto"):
            raise SignatureError(
                "no such choice", subject="jit_compile", expected='True | False | "auto"', got=repr(self.jit_compile)
            )


class Derivative:
    """A derivative as a function. Make it once, call it often.

    The first call with a new shape or dtype traces; later calls with the same run the trace,
    whatever their batch size. Inside ``tf.function`` a call becomes part of that function. Calls
    work under an outer ``tf.GradientTape``, with respect to the argument and to the variables of the function.
    """

    def __init__(self, source: Differentiable, operator: str, parts: tuple[str, ...], options: Options) -> None:
        self.source = source
        self.operator = operator
        self.parts = parts
        self.options = options
        self._traces: dict[tuple[tf.TensorSpec, ...], Any] = {}

    def __call__(self, x: Any, *, output_gradients: Any = None, tangents: Any = None) -> Any:
        """The derivative at ``x``; with several parts, a tuple, the value first.

        Args:
            x: ``[B] + x`` where batched; tensor, NumPy array or nested lists.
            output_gradients: for ``vjp``, shaped like the function's result.
            tangents: for ``jvp`` and ``hvp``, shaped like ``x``.

        Raises:
            SignatureError: wrong shape or dtype, or a missing or unwanted keyword.
            GradientError: no such derivative (a gradient of a vector-valued function).
        """
        seed = self._seed({"output_gradients": output_gradients, "tangents": tangents})
        arguments = [self.source.to_input(x)]
        if seed is not None:
            arguments.append(self._checked_seed(seed, arguments[0]))
        if tf.executing_eagerly():
            results = self.trace(*(self.source.trace_spec(a) for a in arguments))(*arguments)
        else:
            # Part of somebody's graph, whose tensors the function may close over.
            results = self._present(*arguments, inlined=True)
        values = [results.get(part) for part in self.parts]
        return values[0] if len(values) == 1 else tuple(values)

    def trace(self, *specs: tf.TensorSpec) -> Any:
        """The function for these specs, from tensors to a dict of parts; made and traced once."""
        if specs not in self._traces:
            jit = self.options.jit_compile is True
            # Called through tf.function, not its concrete function: that binds arguments in half the time.
            function = tf.function(self._present, input_signature=specs, jit_compile=jit, autograph=False)
            function.get_concrete_function()
            self._traces[specs] = function
        return self._traces[specs]

    @property
    def trace_count(self) -> int:
        """How many signatures have been traced so far."""
        return len(self._traces)

    def compute(self, x: tf.Tensor, seed: tf.Tensor | None = None, *, inlined: bool = False) -> Parts:
        """The parts as tensors of the surrounding graph: for traces and for other operators.

        ``inlined`` says that the graph is somebody's own, who may differentiate or compile it.
        """
        o = self.options
        source = self.source
        point = Point(source.call, x, source.name, source.batched, seed, o.mode, o.strategy, o.unconnected, inlined)
        with exact_moments():
            computed = OPERATORS[self.operator](point)
        return {part: computed[part] for part in self.parts}

    def as_differentiable(self, batched: bool | None = None) -> Differentiable:
        """This derivative as a function that another operator differentiates."""
        if self.operator in SEED_NAMES or len(self.parts) != 1:
            raise SignatureError(
                "only a derivative with one argument and one result can be differentiated again",
                subject=str(self),
                expected="gradient, jacobian or hessian",
                hint="write the combination as a function of x and differentiate that",
            )
        if batched is not None and batched != self.source.batched:
            raise SignatureError(
                "batched differs from the inner derivative's",
                subject=str(self),
                expected=self.source.batched,
                got=batched,
            )
        part = self.parts[0]
        inner = Derivative(self.source, self.operator, self.parts, replace(self.options, unconnected="zero"))

        def call(x: tf.Tensor) -> tf.Tensor:
            return inner.compute(x, inlined=True)[part]

        return Differentiable(
            call, str(self), self.source.batched, self.source.input_spec, self.source.variables, self.source.layer_names
        )

    def __repr__(self) -> str:
        return f"{'_and_'.join(self.parts)}({self.source.name})"

    def _present(self, *arguments: tf.Tensor, inlined: bool = False) -> dict[str, tf.Tensor]:
        if not self.source.batched or arguments[0].shape[0] is not None:
            return _without_none(self.compute(*arguments, inlined=inlined))
        # Vectorized loops divide by the batch size: an empty batch runs as one row, dropped again.
        count = tf.shape(arguments[0])[0]
        filled = [_at_least_one_row(argument, count) for argument in arguments]
        return {part: tensor[:count] for part, tensor in _without_none(self.compute(*filled, inlined=inlined)).items()}

    def _seed(self, given: dict[str, Any]) -> Any:
        wanted = SEED_NAMES.get(self.operator)
        for name, seed in given.items():
            if name == wanted and seed is None:
                raise SignatureError(f"{name}= is missing", subject=str(self), expected=f"(x, {name}=...)", got="(x)")
            if name != wanted and seed is not None:
                accepted = "(x)" if wanted is None else f"(x, {wanted}=...)"
                raise SignatureError(
                    f"{name}= is not an argument", subject=str(self), expected=accepted, got=f"(x, {name}=...)"
                )
        return given[wanted] if wanted else None

    def _checked_seed(self, seed: Any, x: tf.Tensor) -> tf.Tensor:
        """A seed that fits x; whether it fits y is seen when y is there (``compute.fit``)."""
        role = SEED_NAMES[self.operator]
        like_x = role == "tangents"
        tensor = as_floating(seed, role, x.dtype if like_x else None, wide=True)
        if like_x:
            fit(tensor, x, role, str(self))
        elif self.source.batched and tensor.shape.rank and not tensor.shape[:1].is_compatible_with(x.shape[:1]):
            raise SignatureError(
                f"{role} and x have different batch sizes",
                subject=str(self),
                expected=f"{shape_text(x.shape[:1])}, then the axes of the result",
                got=shape_text(tensor.shape),
            )
        return tensor


def _without_none(parts: Parts) -> dict[str, tf.Tensor]:
    """A trace can't return None; what is missing is None to the caller."""
    return {part: tensor for part, tensor in parts.items() if tensor is not None}


def _at_least_one_row(tensor: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    row = [1 if size is None else size for size in dims(tensor)[1:]]
    filled = tf.concat([tensor, tf.ones([tf.maximum(1 - count, 0), *row], tensor.dtype)], 0)
    filled.set_shape(tensor.shape)
    return filled
