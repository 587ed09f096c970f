"""One element of each sample's result, and its gradient by the input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from ..derivatives.operators import build
from ..differentiable import Differentiable
from ..errors import SignatureError
from ..sources.layers import layer_output
from ..sources.resolve import resolve


class Scores:
    """A batched function of one argument, whose result is seen as ``[B, N]``.

    Args:
        fn: a Keras model, or whatever the operators take.
        of: "layer:NAME" explains the result of a layer in place of the model's.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no such layer.
    """

    def __init__(self, fn: Any, of: str | None = None) -> None:
        source = resolve(fn, batched=True)
        self.source = source if of is None else layer_output(source, of)
        element = replace(self.source, call=self._element, input_specs=None, output_names=())
        self._derivative = build("gradient", ("value", "gradient"), element, {"argnums": 0})

    def converted(self, x: Any) -> Any:
        """x as the function takes it: tensors, of its dtype.

        Raises:
            SignatureError: it doesn't fit.
        """
        return self.source.to_arguments([x], [0])[0]

    def at(self, x: Any) -> tf.Tensor:
        """All elements, ``[B, N]``."""
        return flat(self.source.call(x), self.source)

    def element(self, x: Any, target: tf.Tensor) -> tf.Tensor:
        """The explained ones, ``[B]``."""
        return self._element(x, target)

    def value_and_gradient(self, x: Any, target: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """The explained elements ``[B]``, and their gradients in the structure of x."""
        value, gradient = self._derivative(x, target)
        return value, gradient

    def _element(self, x: Any, target: tf.Tensor) -> tf.Tensor:
        return picked(self.at(x), target)


def flat(y: Any, source: Differentiable) -> tf.Tensor:
    """A result as ``[B, N]``.

    Raises:
        SignatureError: there are several.
    """
    leaves = tf.nest.flatten(y)
    if len(leaves) != 1:
        raise SignatureError(
            "an attribution explains one result",
            subject=source.name,
            expected="one tensor",
            got=f"{len(leaves)} results",
            hint='of="layer:NAME" names the layer whose result is meant',
        )
    return tf.reshape(leaves[0], [tf.shape(leaves[0])[0], -1])


def picked(y: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """One element of each row."""
    return tf.gather(y, target, batch_dims=1)
