"""Gradients of losses that are one op."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import take_over
from .arrays import sum_to_shape_of


@take_over("SoftmaxCrossEntropyWithLogits")
def _softmax_cross_entropy(op: Any, by_loss: tf.Tensor, by_slope: Any) -> list[Any]:
    """Of −Σ l log p, and of the second result s = p − l, by the logits, p their softmax, and by the labels l.

    The loss has the slope p Σl − l, which is s where the labels sum to one, and else s − p Σs. TensorFlow leaves out
    the second part, and what comes by the labels from s: Hessians by labels that depend on x.
    """
    logits, slope = op.inputs[0], op.outputs[1]
    skipped = getattr(op, "skip_input_indices", None) or ()
    p, by_loss = tf.nn.softmax(logits), by_loss[..., None]
    by_logits = by_loss * (slope - p * tf.reduce_sum(slope, -1, keepdims=True))
    by_labels = None if 1 in skipped else -by_loss * tf.nn.log_softmax(logits)
    if by_slope is not None and not getattr(by_slope, "_is_zeros_tensor", False):
        by_logits += (by_slope - tf.reduce_sum(by_slope * p, -1, keepdims=True)) * p
        by_labels = None if by_labels is None else by_labels - by_slope
    return [sum_to_shape_of(by_logits, logits), by_labels]
