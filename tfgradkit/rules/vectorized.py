"""Ops for which TensorFlow's vectorized loops (``tf.vectorized_map``) have no rule.

The one file that touches ``tensorflow.python.ops.parallel_for``. Where that has another form than in TensorFlow 2.21,
loops over these ops stay loops.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import tensorflow as tf

Converter = Callable[[Any], Any]


def vectorized(op_type: str) -> Callable[[Converter], Converter]:
    """Registers how an op is done for all turns of a loop at once."""

    def decorate(converter: Converter) -> Converter:
        # KeyError where TensorFlow has a rule, which stays.
        with suppress(ImportError, AttributeError, KeyError):
            from tensorflow.python.ops.parallel_for.pfor import RegisterPFor

            RegisterPFor(op_type)(converter)
        return converter

    return decorate


def wrapped(tensors: list[tf.Tensor]) -> Any:
    """What a converter returns: results stacked over the turns of the loop."""
    from tensorflow.python.ops.parallel_for.pfor import wrap

    return [wrap(tensor, True) for tensor in tensors]


@vectorized("PreventGradient")
def _prevent_gradient(given: Any) -> Any:
    """The same for all turns; still without a gradient."""
    message = given.get_attr("message").decode()
    return wrapped([tf.raw_ops.PreventGradient(input=given.stacked_input(0), message=message)])
