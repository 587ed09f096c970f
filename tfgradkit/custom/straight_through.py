"""Straight-through estimators: the value of a step function, the gradient of something smooth.

Y. Bengio, N. Léonard, A. Courville, "Estimating or propagating gradients through stochastic neurons for conditional
computation", 2013; the "hardtanh" surrogate after I. Hubara et al., "Binarized neural networks", 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ..arguments import shape_text
from ..errors import SignatureError
from .names import named, serialized

Elementwise = Callable[[Any], Any]


def heaviside(x: tf.Tensor) -> tf.Tensor:
    """1 from 0 on, 0 below."""
    return tf.cast(x >= 0, x.dtype)


def hardtanh(x: tf.Tensor) -> tf.Tensor:
    """x between -1 and 1, constant outside."""
    return tf.clip_by_value(x, -1, 1)


FUNCTIONS = {"ceil": tf.math.ceil, "floor": tf.floor, "heaviside": heaviside, "round": tf.round, "sign": tf.sign}
SURROGATES = {"hardtanh": hardtanh, "identity": tf.identity}


@keras.saving.register_keras_serializable(package="tfgradkit", name="straight_through")
class StraightThrough:
    """``fn`` forward, the derivatives of ``surrogate``, of every order and in every mode; see ``straight_through``."""

    def __init__(self, fn: str | Elementwise, surrogate: str | Elementwise = "identity") -> None:
        self.fn = named(fn, FUNCTIONS, "straight_through")
        self.surrogate = named(surrogate, SURROGATES, "surrogate")
        self.__name__ = f"straight_through_{getattr(self.fn, '__name__', type(self.fn).__name__)}"

    def __call__(self, x: Any) -> Any:
        """``fn(x)``; of a symbolic Keras tensor, too."""
        if isinstance(x, keras.KerasTensor):
            return keras.layers.Activation(self)(x)
        x = tf.convert_to_tensor(x)
        return _value_of(*self._both(x))

    def get_config(self) -> dict[str, Any]:
        """Both functions: by name, or as Keras serialises what was registered there."""
        return {"fn": serialized(self.fn, FUNCTIONS), "surrogate": serialized(self.surrogate, SURROGATES)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StraightThrough:
        """That of a configuration."""
        return cls(**{key: keras.saving.deserialize_keras_object(value) for key, value in config.items()})

    def _both(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
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
def _value_of(smooth: tf.Tensor, value: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """``value``, bit for bit, with the gradient of ``smooth``: smooth + (value - smooth) would be rounded."""
    return tf.identity(value), lambda upstream: (upstream, None)


def straight_through(fn: str | Elementwise, *, surrogate: str | Elementwise = "identity") -> StraightThrough:
    """``fn`` forward, the gradient of ``surrogate`` backward: y = fn(x), dy/dx = s'(x).

    Takes and gives one tensor, and is a Keras activation as it stands, which ``.keras`` files keep:
    ``Dense(8, activation=tgk.straight_through("sign"))``. No gradient goes to what ``fn`` closes over.

    Args:
        fn: an elementwise function (a quantizer), or "round", "sign", "floor", "ceil", "heaviside". To be saved,
            a function has to be registered with Keras.
        surrogate: "identity" (the gradient passes unchanged), "hardtanh" (it passes where -1 ≤ x ≤ 1, and is zero
            elsewhere), or a function with derivatives (``tf.tanh``).

    Raises:
        SignatureError: no function of this name; or, when called, another shape or dtype than the surrogate's.
    """
    return StraightThrough(fn, surrogate)
