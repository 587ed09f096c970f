"""Second-order gradients that TensorFlow 2.21 lacks; forward mode needs them, too.

Importing this module registers them. A TensorFlow that has one already keeps its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Rule = Callable[..., Any]


def _register(op_type: str) -> Callable[[Rule], Rule]:
    def decorate(rule: Rule) -> Rule:
        try:
            tf.RegisterGradient(op_type)(rule)
        except KeyError:
            return rule
        return rule

    return decorate


@_register("SoftsignGrad")
def _softsign_grad(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """SoftsignGrad(g, x) = g / (1 + |x|)²."""
    g, x = op.inputs
    width = 1 + tf.abs(x)
    return upstream / width**2, -2 * upstream * g * tf.sign(x) / width**3
