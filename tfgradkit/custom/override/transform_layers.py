"""The transforms of a gradient as Keras layers: in functional and subclassed models, and in ``.keras`` files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ...public import public
from .backward_transforms import Axes, check_clip, clip, reverse
from .backward_transforms import StraightThroughFunction as _StraightThrough


class Identity(keras.layers.Layer):
    """The base of these layers: every tensor of a nest passes ``through``, and keeps its value, shape and dtype."""

    def __init__(self, *, name: str | None = None, **keywords: Any) -> None:
        # The identity is not to round what passes.
        super().__init__(name=name, autocast=False, **keywords)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The inputs."""
        return keras.tree.map_structure(self.through, inputs)

    def through(self, x: Any) -> Any:
        """One tensor."""
        raise NotImplementedError

    def compute_output_spec(self, inputs: Any) -> Any:
        """As the inputs'."""
        return keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), inputs)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make the layer again."""
        return {key: value for key, value in super().get_config().items() if key != "autocast"}


@public("layers")
@keras.saving.register_keras_serializable(package="tfgradkit", name="ClipGradient")
class ClipGradient(Identity):
    """The identity, whose gradient is clipped on its way back; see ``tgk.clip_gradient``.

    Args:
        norm: the largest Euclidean norm of the gradient over ``axes``.
        value: in place of ``norm``, the largest magnitude of a component.
        axes: "sample" (all but the first: each sample's gradient for itself), "all", or positions.
        keywords: of every Keras layer, ``name`` among them.

    Raises:
        SignatureError: not one positive bound.

    Example:
        >>> tgk.layers.ClipGradient(norm=1.0)(tf.ones([1, 2])).numpy().tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, norm: Any = None, value: Any = None, axes: Axes = "sample", **keywords: Any) -> None:
        check_clip(norm, value)
        super().__init__(**keywords)
        self.norm, self.value, self.axes = norm, value, axes

    def through(self, x: Any) -> Any:
        """One tensor."""
        return clip(x, norm=self.norm, value=self.value, axes=self.axes)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make the layer again."""
        return {**super().get_config(), "norm": self.norm, "value": self.value, "axes": self.axes}


@public("layers")
@keras.saving.register_keras_serializable(package="tfgradkit", name="ReverseGradient")
class ReverseGradient(Identity):
    """The identity, whose gradient comes back times ``-scale``; see ``tgk.reverse_gradient``.

    Args:
        scale: the factor; 0 stops the gradient.
        keywords: of every Keras layer, ``name`` among them.

    Example:
        >>> tgk.layers.ReverseGradient(0.5)(tf.ones([1, 2])).numpy().tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, scale: float = 1.0, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.scale = scale

    def through(self, x: Any) -> Any:
        """One tensor."""
        return reverse(x, scale=self.scale)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make the layer again."""
        return {**super().get_config(), "scale": self.scale}


@public("layers")
@keras.saving.register_keras_serializable(package="tfgradkit", name="StopGradient")
class StopGradient(Identity):
    """The identity, through which no gradient comes back; see ``tgk.stop_gradient``.

    Args:
        name: of the layer.
        keywords: of every Keras layer.

    Example:
        >>> tgk.layers.StopGradient()(tf.ones([1, 2])).numpy().tolist()
        [[1.0, 1.0]]
    """

    def through(self, x: Any) -> Any:
        """One tensor."""
        return tf.stop_gradient(x)


@public("layers")
@keras.saving.register_keras_serializable(package="tfgradkit", name="StraightThrough")
class StraightThrough(Identity):
    """``fn`` forward, the gradient of ``surrogate`` backward; see ``tgk.straight_through``.

    Args:
        fn: an elementwise function, or "round", "sign", "floor", "ceil", "heaviside".
        surrogate: "identity", "hardtanh", or a function with derivatives.
        keywords: of every Keras layer, ``name`` among them.

    Raises:
        SignatureError: no function of this name; from the call: another shape or dtype than the surrogate's.

    Example:
        >>> tgk.layers.StraightThrough("round")(tf.constant([[0.4, 1.6]])).numpy().tolist()
        [[0.0, 2.0]]
    """

    def __init__(
        self,
        fn: str | Callable[[Any], Any],
        surrogate: str | Callable[[Any], Any] = "identity",
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self._estimator = _StraightThrough(fn, surrogate)

    def through(self, x: Any) -> Any:
        """One tensor."""
        return self._estimator(x)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to make the layer again."""
        return {**super().get_config(), **self._estimator.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> StraightThrough:
        """The layer of a configuration."""
        functions = ("fn", "surrogate")
        made = {key: keras.saving.deserialize_keras_object(config[key]) for key in functions}
        return cls(**{**config, **made})
