"""The identity forward, something else backward: clipped, scaled or stopped gradients, on one tensor each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import tensorflow as tf

from ..errors import SignatureError
from ..rules.linearity import nonlinear_scope

Gradient = Callable[[tf.Tensor], tf.Tensor]
# "sample": all but the first, which counts samples.
Axes = int | Sequence[int] | Literal["sample", "all"]


def clipped(x: tf.Tensor, *, norm: Any, value: Any, axes: Axes) -> tf.Tensor:
    """x, whose gradient is clipped on its way back: each component to ±value, or the Euclidean norm over ``axes``."""

    def rule(upstream: tf.Tensor) -> tf.Tensor:
        if value is None:
            return tf.clip_by_norm(upstream, _as(norm, upstream), _numbers(axes, upstream))
        bound = _as(value, upstream)
        return tf.clip_by_value(upstream, -bound, bound)

    with nonlinear_scope("clip_gradient"):
        return _identity(x, rule)


def reversed_(x: tf.Tensor, *, scale: Any) -> tf.Tensor:
    """x, whose gradient comes back times ``-scale``: linear, so forward mode is its transpose, ``-scale`` times v."""
    return _identity(x, lambda upstream: -_as(scale, upstream) * upstream)


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


def _numbers(axes: Axes, upstream: tf.Tensor) -> Any:
    if axes == "sample":
        return tf.range(1, tf.rank(upstream)) if upstream.shape.rank is None else list(range(1, upstream.shape.rank))
    return None if axes == "all" else [axes] if isinstance(axes, int) else list(axes)


def _as(number: Any, like: tf.Tensor) -> tf.Tensor:
    """In the dtype of ``like``; tf.cast would make a Python number float32 first."""
    return tf.cast(number, like.dtype) if tf.is_tensor(number) else tf.constant(number, like.dtype)


def _identity(x: tf.Tensor, rule: Gradient) -> tf.Tensor:
    @tf.custom_gradient
    def identity(x: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        return tf.identity(x), rule

    return identity(x)
