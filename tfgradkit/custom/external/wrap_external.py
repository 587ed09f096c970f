"""``wrap_external``: NumPy, SciPy, a C library or hardware as an op of a model."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import is_numbers, shape_text
from ...differentiable import Differentiable
from ...errors import SignatureError
from ...graph.python_code import refuse_compiled
from ...public import not_pickled, public
from .external_op import ExternalCall, external_op
from .finite_differences import StepReport, StepSize, central_differences, complex_step
from .python_call import BatchFunction, Outputs, PythonCall, no_lock
from .user_jacobian import jacobian_from_vjp, user_jacobian, user_vjp

_EAGER = type(tf.constant(0.0))
_METHODS = ("finite-difference", "complex-step")


def wrap_external(
    fn: Callable[..., Any],
    output_spec: Any,
    derivative: str | Callable[..., Any] | None = None,
    batched: bool = True,
    *,
    step: float | None = None,
    scale: Any = None,
    dtype: Any = None,
    allow_nan: bool = False,
    thread_safe: bool = False,
    name: str | None = None,
) -> External:
    """A function of NumPy arrays that can be called with tensors and differentiated: anywhere but in compiled code.

    It works eagerly, in ``tf.function``, in ``model.fit``, on the symbolic inputs of a Keras model, and with every
    operator. Its arguments and results have the samples of a batch on their first axis; each sample's result is made
    of that sample alone. A batch is one call, with its derivative one more. TensorFlow takes the function as pure: it
    is called when a result is needed, which may be less or more often than written.

    Args:
        fn: takes arrays, in the structures of the call, and returns arrays.
        output_spec: ``tf.TensorSpec([None, ...], dtype)`` for a function of batches, without the None for one of
            samples; or a nest of such.
        derivative: a function like ``fn`` that returns the Jacobian, ``[B] + y + x`` (of several: a nest, results
            outside, arguments inside); or one whose last argument is called ``output_gradients``, which
            returns uᵀJ, a gradient for each argument; "finite-difference"; "complex-step", for functions that take
            complex numbers; or None, and it is an error to differentiate. It need not be exact.
        batched: whether ``fn`` and ``derivative`` take a whole batch at once; else they are called sample by sample.
        step: the relative step of finite differences; None: chosen at the first sample that is differentiated, by one
            more call, and reported.
        scale: the size of the arguments, to which the step is relative; None: the larger of 1 and abs(x).
        dtype: what floating arguments are cast to for ``fn``; None: they keep their own. "float64" gives finite
            differences in a float32 model all their digits.
        allow_nan: whether a NaN for finite arguments is no error.
        thread_safe: whether several threads may call ``fn`` at once.
        name: in messages and graphs; None: that of ``fn``.

    Returns:
        An :class:`~tfgradkit.types.External`, a function of tensors. Its second derivatives are finite differences of
        the first.

    Raises:
        SignatureError: an argument of the wrong kind.
        ExternalError: from the call: ``fn`` raised an exception, which is this one's cause, or it returned another
            structure, shape or dtype than declared, or NaN; or it is to be compiled. Where TensorFlow runs the graph
            for somebody else, as in ``model.fit``, it is one of ``tf.errors`` with the same text.
        GradientError: when differentiated: there is no such derivative.

    References:
        Differences, extrapolated to find the step: C. J. F. Ridders, Advances in Engineering Software 4, 1982; complex
        step: J. N. Lyness and C. B. Moler, "Numerical differentiation of analytic functions", SIAM J. Numer. Anal. 4,
        1967; W. Squire and G. Trapp, "Using complex variables to estimate derivatives", SIAM Review 40, 1998.

    Example:
        >>> wrapped = tgk.wrap_external(
        ...     np.sin, tf.TensorSpec([None, 1], tf.float64), lambda x: np.cos(x)[:, :, None]
        ... )
        >>> tgk.jacobian(wrapped)(np.zeros([1, 1])).numpy().tolist()
        [[[1.0]]]
    """
    if not callable(fn):
        raise SignatureError("nothing to wrap", subject="fn", expected="a callable", got=type(fn).__name__)
    if isinstance(batched, np.bool_) or not isinstance(batched, bool):
        raise SignatureError("no such choice", subject="batched", expected="True | False", got=repr(batched))
    if step is not None and not (isinstance(step, (int, float)) and math.isfinite(step) and step > 0):
        raise SignatureError("no such step", subject="step", expected="None | a positive number", got=repr(step))
    label = name if name is not None else str(getattr(fn, "__name__", type(fn).__name__))
    numpy_dtype = None if dtype is None else np.dtype(tf.as_dtype(dtype).as_numpy_dtype)
    python_call = PythonCall(fn, label, _declared_outputs(output_spec, batched), not batched, allow_nan, numpy_dtype)
    if thread_safe:
        python_call.lock = no_lock()
    return External(python_call, _check_derivative(derivative), StepSize(step, scale), StepSize(None, scale))


@public("types")
@not_pickled("pickle the function, and wrap it again")
class External:
    """A function outside TensorFlow as a function of tensors."""

    def __init__(self, python_call: PythonCall, derivative: Any, step: StepSize, second_step: StepSize) -> None:
        self.__name__ = python_call.name
        self._python_call, self._derivative = python_call, derivative
        self._steps = (step, second_step)
        self._calls: dict[tuple[bool, ...], ExternalCall] = {}

    # A tf.function around the call would rewrite this package for AutoGraph.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, *arguments: Any) -> Any:
        """The results at the arguments: nests of tensors or arrays, ``[B] + x`` each.

        Raises:
            SignatureError: an argument without the batch axis, or other batch sizes.
            ExternalError: the function failed; or this is to be compiled.
        """
        # The quick case first: a nest is searched for tensors in more time than many a function takes.
        if len(arguments) == 1 and type(arguments[0]) is _EAGER:
            structure, xs = None, [arguments[0]]
        elif any(type(leaf).__name__ == "KerasTensor" for leaf in tf.nest.flatten(arguments)):
            return self.layer()(arguments[0] if len(arguments) == 1 else list(arguments))
        else:
            nest = tuple(_tensors(argument) for argument in arguments)
            structure = tf.nest.map_structure(lambda _: 0, nest) if any(map(tf.nest.is_nested, nest)) else None
            xs = tf.nest.flatten(nest)
        self._check(xs)
        if _is_compiled():
            refuse_compiled([self.__name__])
        results, outputs = external_op(self._call(structure, xs), xs), self._python_call.outputs
        return results[0] if outputs.structure is None else tf.nest.pack_sequence_as(outputs.structure, results)

    @property
    def output_specs(self) -> Any:
        """Shapes and dtypes of the results, the batch first."""
        outputs = self._python_call.outputs
        pairs = zip(outputs.shapes, outputs.dtypes, strict=True)
        specs = [tf.TensorSpec([None, *shape], dtype) for shape, dtype in pairs]
        return specs[0] if outputs.structure is None else tf.nest.pack_sequence_as(outputs.structure, specs)

    @property
    def calls(self) -> int:
        """How often the function, or its derivative, was called so far."""
        return self._python_call.calls

    @property
    def step(self) -> float | None:
        """The relative step of finite differences; None before one is chosen, or without them."""
        return None if self.report is None else self.report.step

    @property
    def report(self) -> StepReport | None:
        """The step and the error to expect; for a derivative of another kind, of the second derivative."""
        chosen = [step.report for step in self._steps if step.report is not None]
        return chosen[0] if chosen else None

    def layer(self, name: str | None = None) -> Any:
        """A Keras layer that calls it, several arguments as a list: :class:`tfgradkit.layers.ExternalLayer`."""
        from .external_layer import ExternalLayer

        return ExternalLayer(self, name=name)

    def as_differentiable(self, batched: bool | None = None) -> Differentiable:
        """For the operators: a batched function whose samples are independent."""
        return Differentiable(
            call=self,
            name=self.__name__,
            batched=True if batched is None else batched,
            argument_names=_argument_names(self._python_call.fn),
            checked=True,
        )

    def __repr__(self) -> str:
        return f"wrap_external({self.__name__})"

    def _check(self, xs: Sequence[tf.Tensor]) -> None:
        """Raises :class:`SignatureError` where the arguments are no batches of one size."""
        if not xs:
            raise SignatureError("no argument was given", subject=self.__name__)
        first = xs[0].shape
        if any(x.shape.rank == 0 or not x.shape[:1].is_compatible_with(first[:1]) for x in xs[1:]) or first.rank == 0:
            raise SignatureError(
                "a wrapped function takes batches",
                subject=self.__name__,
                expected="arguments whose first axis counts the same samples",
                got=", ".join(shape_text(x.shape) for x in xs),
                hint="x[None] for one sample, and [0] of the result",
            )

    def _call(self, structure: Any, xs: Sequence[tf.Tensor]) -> ExternalCall:
        """The call for arguments in ``structure``; without one, it is kept for arguments of the same kinds."""
        floating = tuple(x.dtype.is_floating for x in xs)
        if structure is None and floating in self._calls:
            return self._calls[floating]
        outputs = self._python_call.outputs
        functions, product = self._functions(structure, [i for i, is_floating in enumerate(floating) if is_floating])
        dtypes = [tf.as_dtype(dtype) for dtype in outputs.dtypes]
        call = ExternalCall(functions, self.__name__, dtypes, outputs.shapes, product)
        if structure is None:
            self._calls[floating] = call
        return call

    def _functions(
        self, structure: Any, positions: list[int]
    ) -> tuple[tuple[BatchFunction, ...], BatchFunction | None]:
        """The value, its Jacobian by the arguments at ``positions`` and the Jacobian of that; and the user's uᵀJ."""
        call, derivative, (step, second_step) = self._python_call, self._derivative, self._steps
        values, product = call.values(structure), None
        if derivative is None or not positions:
            return (values,), None
        if derivative == "finite-difference":
            exact_values = call.values(structure, exact=True)
            jacobian = central_differences(exact_values, positions, step, call.argument_dtype)
        elif derivative == "complex-step":
            jacobian = complex_step(call, structure, positions)
        elif _is_vjp(derivative):
            product = user_vjp(call, derivative, structure, positions)
            jacobian = jacobian_from_vjp(product, call, positions)
        else:
            jacobian = user_jacobian(call, derivative, structure, positions)
        second = central_differences(jacobian, positions, second_step, call.argument_dtype)
        return (values, jacobian, second), product


def _is_vjp(derivative: Any) -> bool:
    try:
        return list(inspect.signature(derivative).parameters)[-1:] == ["output_gradients"]
    except (TypeError, ValueError):
        return False


def _check_derivative(derivative: Any) -> Any:
    if derivative is None or callable(derivative) or (isinstance(derivative, str) and derivative in _METHODS):
        return derivative
    raise SignatureError(
        "no such derivative",
        subject="derivative",
        expected=f"{' | '.join(map(repr, _METHODS))} | a function that returns the Jacobian | one whose last "
        "argument is called output_gradients and that returns the VJP | None",
        got=repr(derivative),
    )


def _declared_outputs(output_spec: Any, batched: bool) -> Outputs:
    specs = tf.nest.flatten(output_spec)
    for spec in specs:
        if not isinstance(spec, tf.TensorSpec) or spec.shape.rank is None:
            raise SignatureError(
                "output_spec says shapes and dtypes",
                expected="a tf.TensorSpec of known rank, or a nest of them",
                got=repr(spec),
            )
        if batched and (spec.shape.rank == 0 or spec.shape[0] is not None):
            raise SignatureError(
                "output_spec has no batch axis",
                expected=f"tf.TensorSpec([None, ...], {spec.dtype.name}), since batched=True",
                got=repr(spec),
                hint="batched=False, if the function takes one sample",
            )
    return Outputs(
        structure=None if isinstance(output_spec, tf.TensorSpec) else output_spec,
        shapes=[tuple(spec.shape[1:] if batched else spec.shape) for spec in specs],
        dtypes=[np.dtype(spec.dtype.as_numpy_dtype) for spec in specs],
    )


def _tensors(argument: Any) -> Any:
    if is_numbers(argument):
        return tf.convert_to_tensor(np.asarray(argument))
    return tf.nest.map_structure(tf.convert_to_tensor, argument)


def _argument_names(fn: Any) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _is_compiled() -> bool:
    """Whether the current graph is to be compiled: inside a ``tf.function`` with ``jit_compile=True``."""
    graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)
    return False
