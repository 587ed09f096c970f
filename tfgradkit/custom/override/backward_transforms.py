"""Other gradients behind the same values: clipped or reversed on one tensor, and straight-through estimators.

A straight-through estimator has the value of a step function and the gradient of a smooth one (Y. Bengio, N. Léonard,
A. Courville, "Estimating or propagating gradients through stochastic neurons for conditional computation", 2013); the
"hardtanh" surrogate is after I. Hubara et al., "Binarized neural networks", 2016. :class:`WrappedFunction` is a whole
function with another gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import keras
import tensorflow as tf

from ...arguments import shape_text
from ...differentiable import Differentiable
from ...errors import SignatureError
from ...op_gradients.refused_gradients import nonlinear_scope
from ...public import not_pickled, public
from ...sources.resolve import resolve

Function = Callable[..., Any]
Elementwise = Callable[[Any], Any]
Gradient = Callable[[tf.Tensor], tf.Tensor]
# "sample": all axes but the first, which counts samples.
Axes = int | Sequence[int] | Literal["sample", "all"]


@public("types")
@not_pickled("pickle the function or model, and transform it again")
class WrappedFunction:
    """``transform(fn)`` as a function; operators and exporters see the specs and variables of ``fn``.

    Attributes:
        fn: the function itself, which owns the variables.
    """

    def __init__(self, fn: Any, transform: Callable[[Function], Function]) -> None:
        self.fn = fn
        self._source = resolve(fn)
        self._call = transform(self._source.call)
        self.__name__ = self._source.name

    # Else AutoGraph would convert this whole package in a tf.function around the call: seconds, for nothing.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, *arguments: Any) -> Any:
        """The value of ``fn``, with another gradient."""
        return self._call(*arguments)

    def as_differentiable(self, batched: bool | None = None) -> Differentiable:
        """The function for operators and exporters."""
        source = self._source if batched is None else resolve(self.fn, batched=batched)
        return replace(source, call=self.__call__)


def clip(x: tf.Tensor, *, norm: Any, value: Any, axes: Axes) -> tf.Tensor:
    """x, whose gradient is clipped on its way back: each component to ±value, or the Euclidean norm over ``axes``."""

    def rule(upstream: tf.Tensor) -> tf.Tensor:
        if value is None:
            return tf.clip_by_norm(upstream, _constant_like(norm, upstream), _axis_numbers(axes, upstream))
        bound = _constant_like(value, upstream)
        return tf.clip_by_value(upstream, -bound, bound)

    with nonlinear_scope("clip_gradient"):
        return _identity_with_rule(x, rule)


def reverse(x: tf.Tensor, *, scale: Any) -> tf.Tensor:
    """x, whose gradient comes back times ``-scale``: linear, so forward mode is its transpose, ``-scale`` times v."""
    return _identity_with_rule(x, lambda upstream: -_constant_like(scale, upstream) * upstream)


def check_clip(norm: Any, value: Any) -> None:
    """Raises :class:`SignatureError` unless one bound is given, and positive."""
    if (norm is None) == (value is None):
        raise SignatureError(
            "one bound is needed",
            subject="clip_gradient",
            expected="norm= or value=",
            got="neither" if norm is None else "both",
        )
    bound = value if norm is None else norm
    if isinstance(bound, (int, float)) and not bound > 0:
        raise SignatureError("the bound is not positive", subject="clip_gradient", expected="above 0", got=bound)


def _axis_numbers(axes: Axes, upstream: tf.Tensor) -> Any:
    if axes == "sample":
        return tf.range(1, tf.rank(upstream)) if upstream.shape.rank is None else list(range(1, upstream.shape.rank))
    return None if axes == "all" else [axes] if isinstance(axes, int) else list(axes)


def _constant_like(number: Any, like: tf.Tensor) -> tf.Tensor:
    """``number`` in the dtype of ``like``; tf.cast would make a Python number float32 first."""
    return tf.cast(number, like.dtype) if tf.is_tensor(number) else tf.constant(number, like.dtype)


def _identity_with_rule(x: tf.Tensor, rule: Gradient) -> tf.Tensor:
    @tf.custom_gradient
    def identity(x: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        return tf.identity(x), rule

    return identity(x)


def heaviside(x: tf.Tensor) -> tf.Tensor:
    """1 from 0 on, 0 below."""
    return tf.cast(x >= 0, x.dtype)


def hardtanh(x: tf.Tensor) -> tf.Tensor:
    """x between -1 and 1, constant outside."""
    return tf.clip_by_value(x, -1, 1)


FUNCTIONS = {"ceil": tf.math.ceil, "floor": tf.floor, "heaviside": heaviside, "round": tf.round, "sign": tf.sign}
SURROGATES = {"hardtanh": hardtanh, "identity": tf.identity}


def function_of(given: Any, table: Mapping[str, Function], role: str) -> Function:
    """``given`` itself, or the function that ``table`` has under that name.

    Raises:
        SignatureError: neither a function nor a name in the table.
    """
    function = table.get(given) if isinstance(given, str) else given
    if not callable(function):
        expected = " | ".join(repr(name) for name in table)
        raise SignatureError("no such function", subject=role, expected=f"{expected} | a function", got=repr(given))
    return function


def serialize(function: Function, table: Mapping[str, Function]) -> Any:
    """A function for a Keras configuration: its name in ``table``, or Keras' own record of a registered function.

    Raises:
        SignatureError: it is not registered, so that Keras would have to run code to load it.
    """
    name = next((name for name, entry in table.items() if entry is function), None)
    if name is not None:
        return name
    kind = function if hasattr(function, "__module__") and hasattr(function, "__name__") else type(function)
    registered = keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is kind
    if not registered and not kind.__module__.startswith("keras."):
        raise SignatureError(
            "a function can be saved only under a registered name",
            subject=getattr(function, "__name__", repr(function)),
            expected="@keras.saving.register_keras_serializable() above its definition",
            got="a lambda" if getattr(function, "__name__", "") == "<lambda>" else "none",
        )
    return keras.saving.serialize_keras_object(function)


@public("types")
@keras.saving.register_keras_serializable(package="tfgradkit", name="straight_through")
class StraightThroughFunction:
    """``fn`` forward, the derivatives of ``surrogate``, of every order and in every mode; see ``straight_through``."""

    def __init__(self, fn: str | Elementwise, surrogate: str | Elementwise = "identity") -> None:
        self.fn = function_of(fn, FUNCTIONS, "straight_through")
        self.surrogate = function_of(surrogate, SURROGATES, "surrogate")
        self.__name__ = f"straight_through_{getattr(self.fn, '__name__', type(self.fn).__name__)}"

    def __call__(self, x: Any) -> Any:
        """``fn(x)``; of a symbolic Keras tensor, too."""
        if isinstance(x, keras.KerasTensor):
            return keras.layers.Activation(self)(x)
        x = tf.convert_to_tensor(x)
        return _with_gradient_of(*self._values(x))

    def get_config(self) -> dict[str, Any]:
        """Both functions: by name, or as Keras serialises what was registered there."""
        return {"fn": serialize(self.fn, FUNCTIONS), "surrogate": serialize(self.surrogate, SURROGATES)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StraightThroughFunction:
        """That of a configuration."""
        return cls(**{key: keras.saving.deserialize_keras_object(value) for key, value in config.items()})

    def _values(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        smooth, value = (tf.convert_to_tensor(f(x)) for f in (self.surrogate, self.fn))
        if smooth.dtype != value.dtype or not smooth.shape.is_compatible_with(value.shape):
            raise SignatureError(
                "the surrogate has another shape or dtype than the function",
                subject=self.__name__,
                expected=f"{value.dtype.name} {shape_text(value.shape)}",
                got=f"{smooth.dtype.name} {shape_text(smooth.shape)}",
            )
        return smooth, tf.stop_gradient(value)


@tf.custom_gradient
def _with_gradient_of(smooth: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """``value``, bit for bit, with the gradient of ``smooth``: smooth + (value - smooth) would be rounded."""
    return tf.identity(value), lambda upstream: (upstream, None)


def straight_through(fn: str | Elementwise, *, surrogate: str | Elementwise = "identity") -> StraightThroughFunction:
    """``fn`` forward, the gradient of ``surrogate`` backward: y = fn(x), dy/dx = s'(x).

    Takes and gives one tensor, and is a Keras activation as it stands, which ``.keras`` files keep:
    ``Dense(8, activation=tgk.straight_through("sign"))``. No gradient goes to what ``fn`` closes over.

    Args:
        fn: an elementwise function (a quantizer), or "round", "sign", "floor", "ceil", "heaviside". To be saved,
            a function has to be registered with Keras.
        surrogate: "identity" (the gradient passes unchanged), "hardtanh" (it passes where -1 ≤ x ≤ 1, and is zero
            elsewhere), or a function with derivatives (``tf.tanh``).

    Returns:
        A :class:`~tfgradkit.types.StraightThroughFunction`, a function of one tensor.

    Raises:
        SignatureError: no function of this name; from the call: another shape or dtype than the surrogate's.

    References:
        Y. Bengio, N. Léonard, A. Courville, "Estimating or propagating gradients through stochastic neurons for
        conditional computation", 2013; "hardtanh": I. Hubara et al., "Binarized neural networks", 2016.

    Example:
        >>> sign = tgk.straight_through("sign", surrogate="hardtanh")
        >>> tgk.gradient(lambda x: tf.reduce_sum(sign(x)))([0.5, 2.0]).numpy().tolist()
        [1.0, 0.0]
    """
    return StraightThroughFunction(fn, surrogate)
