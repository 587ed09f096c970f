"""The mean inside a variance, at which ``tf.nn.moments`` stops the gradient.

That does not change the first derivative, since the deviations sum to zero, but every second one. While a function is
traced, ``exact_functions`` has another ``tf.nn.moments``. In a graph that is there already, as that of a SavedModel
with a LayerNormalization, the op stays, and its gradient goes through.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import enable


def stops_a_mean(operation: Any) -> bool:
    """Whether a StopGradient in a graph is that of ``tf.nn.moments``."""
    if isinstance(operation.outputs[0], tf.__internal__.EagerTensor) or "moments" not in operation.name.split("/"):
        return False
    mean = operation.inputs[0].op if len(operation.inputs) == 1 else None
    if mean is None or mean.type != "Mean" or not mean.get_attr("keep_dims"):
        return False
    return any(_is_deviation(user, mean.inputs[0]) for user in operation.outputs[0].consumers())


def _is_deviation(operation: Any, x: Any) -> bool:
    return operation.type == "SquaredDifference" and any(taken is x for taken in operation.inputs)


@enable("StopGradient")
def _stopped_mean(op: Any, upstream: tf.Tensor) -> tf.Tensor | None:
    """The gradient of the identity at the mean of a variance, and none elsewhere."""
    return upstream if stops_a_mean(op) else None
