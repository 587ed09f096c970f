"""A Keras layer that calls a function outside TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from ...errors import UnknownLayerError
from ...public import public


@public("layers")
@keras.saving.register_keras_serializable(package="tfgradkit", name="External")
class ExternalLayer(keras.layers.Layer):
    """``external`` in a Keras model; several arguments come as a list.

    The layer is saved by the function's name alone. A model file holds no code, so loading it needs
    ``custom_objects={"NAME": external}``. Keras doesn't compile a model that has such a layer.

    Args:
        external: what :func:`tfgradkit.wrap_external` returned.
        keywords: of every Keras layer, ``name`` among them.

    Example:
        >>> wrapped = tgk.wrap_external(np.sin, tf.TensorSpec([None, 2]))
        >>> wrapped.layer()(tf.zeros([1, 2])).numpy().tolist()
        [[0.0, 0.0]]
    """

    def __init__(self, external: Any, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.external = external
        self.supports_jit = False
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The function's results."""
        return self.external(*inputs) if isinstance(inputs, (list, tuple)) else self.external(inputs)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Shapes and dtypes, as they were declared."""
        first = keras.tree.flatten(inputs)[0]
        specs = self.external.output_specs
        return tf.nest.map_structure(lambda s: keras.KerasTensor((first.shape[0], *s.shape[1:]), s.dtype.name), specs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes, as they were declared."""
        return tf.nest.map_structure(lambda s: tuple(s.shape), self.external.output_specs)

    def get_config(self) -> dict[str, Any]:
        """The function's name."""
        return {**super().get_config(), "external": self.external.__name__}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ExternalLayer:
        """The layer, with the function that ``custom_objects`` has by that name.

        Raises:
            UnknownLayerError: it has none.
        """
        name = config["external"]
        external = keras.saving.get_registered_object(name)
        if not hasattr(external, "output_specs"):
            raise UnknownLayerError(
                "the model calls a function outside TensorFlow, which is not in the file",
                subject=name,
                expected=f'custom_objects={{"{name}": what wrap_external returned}}',
                got="nothing" if external is None else type(external).__name__,
            )
        return cls(**{**config, "external": external})
