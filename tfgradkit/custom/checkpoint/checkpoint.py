"""``checkpoint``: a function, layer or model whose intermediate results are computed again for the gradient, not kept.

T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training deep nets with sublinear memory cost", 2016; A. Griewank, A. Walther,
"Algorithm 799: revolve", ACM TOMS 26, 2000. Unlike ``tf.recompute_grad``, this has second derivatives.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from ...errors import SignatureError
from ...op_gradients.recompute import Checkpointed
from ...public import public
from ...sources.resolve import is_keras
from ..override.backward_transforms import WrappedFunction


@public("layers")
@keras.saving.register_keras_serializable(package="tfgradkit", name="Checkpoint")
class Checkpoint(keras.layers.Layer):
    """``layer`` with the same values and derivatives, and less memory; see ``tgk.checkpoint``.

    The weights of ``layer`` are weights of this layer.

    Args:
        layer: a Keras 3 layer or model.
        name: of the layer.
        keywords: of every Keras layer.

    Raises:
        SignatureError: a layer of ``tf_keras``.

    Example:
        >>> tgk.layers.Checkpoint(keras.layers.ReLU())(tf.constant([[-1.0, 1.0]])).numpy().tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, layer: Any, *, name: str | None = None, **keywords: Any) -> None:
        _check_layer(layer)
        own = {"dtype": layer.dtype_policy, "autocast": False, **keywords}
        super().__init__(name=name or f"checkpoint_{layer.name}", **own)
        self.layer = layer
        self.input_spec = layer.input_spec
        self.supports_masking = layer.supports_masking
        self._checkpointed: dict[Any, Checkpointed] = {}
        self.built = layer.built

    def build(self, input_shape: Any) -> None:
        """Builds the layer inside."""
        if not self.layer.built:
            self.layer.build(input_shape)
        self.built = True

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """What the layer inside returns."""
        if training not in self._checkpointed:
            self._checkpointed[training] = Checkpointed(partial(self._call_layer, training), self.layer.name)
        return self._checkpointed[training](inputs, mask)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """As the layer inside."""
        return self.layer.compute_mask(inputs, previous_mask)

    def _call_layer(self, training: Any, inputs: Any, mask: Any) -> Any:
        keywords = {"training": training} if self.layer._call_has_training_arg else {}
        return self.layer(inputs, **keywords, **({} if mask is None else {"mask": mask}))

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """As the layer's inside."""
        return self.layer.compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        """The layer inside."""
        # Twice: from the second time on Keras marks the layer as shared, so that loading makes one object of it.
        keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Checkpoint:
        """The layer of a configuration."""
        return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)


def _check_layer(layer: Any) -> None:
    """Raises :class:`SignatureError` for a layer of ``tf_keras``, and for anything that is no layer."""
    if not isinstance(layer, keras.layers.Layer):
        raise SignatureError(
            "only layers of Keras 3 become checkpointed layers",
            subject=getattr(layer, "name", ""),
            got=type(layer).__module__.split(".")[0],
            hint="a function of it: tgk.checkpoint(lambda x: layer(x))",
        )


def checkpoint(fn: Any) -> Any:
    """``fn``, which keeps its arguments alone for the gradient, and is evaluated once more when that is taken.

    The same values and derivatives, of every order and in both modes, by arguments, variables and what ``fn`` closes
    over, in ``tf.function``, with ``jit_compile=True``, in ``model.fit`` and in exports. A chain of n checkpoints of
    n layers each keeps 2n intermediate results in place of n², for one evaluation more. That is for first derivatives:
    those of second order keep what the second evaluation computes.

    Args:
        fn: a Keras 3 layer or model (a block of a larger one), or a function of nests of tensors. Random numbers
            of Keras layers are the same both times, and moving averages change once.

    Returns:
        Of a layer or model a Keras layer, :class:`tfgradkit.layers.Checkpoint`; else a function, a
        :class:`~tfgradkit.types.WrappedFunction`.

    Raises:
        SourceError: ``fn`` is no function or layer.
        SignatureError: a layer of ``tf_keras``.
        GradientError: from the call: ``fn`` draws random numbers from a state that is not Keras', assigns to a
            ``tf.Variable``, or adds a loss.

    References:
        T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training deep nets with sublinear memory cost", 2016; A. Griewank,
        A. Walther, "Algorithm 799: revolve", ACM TOMS 26, 2000.

    Example:
        >>> tgk.gradient(tgk.checkpoint(lambda x: tf.reduce_sum(tf.sin(x) ** 2)))([0.0]).numpy().tolist()
        [0.0]
    """
    if is_keras(fn):
        return Checkpoint(fn)
    return WrappedFunction(fn, Checkpointed)
