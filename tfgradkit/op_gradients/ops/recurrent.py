"""Gradients of the recurrent cells of TensorFlow 1, whose gradient its own Python layers wrote."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import by_formula, register


@register("GRUBlockCell")
def _gru_cell(op: Any, *upstream: Any) -> list[tf.Tensor]:
    """Cho et al. 2014: r, u, c and the next state."""

    def formula(x: Any, h: Any, w_ru: Any, w_c: Any, b_ru: Any, b_c: Any) -> tuple[tf.Tensor, ...]:
        gates = tf.sigmoid(tf.matmul(tf.concat([x, h], 1), w_ru) + b_ru)
        r, u = tf.split(gates, 2, 1)
        c = tf.tanh(tf.matmul(tf.concat([x, r * h], 1), w_c) + b_c)
        return r, u, c, u * h + (1 - u) * c

    return by_formula(formula, op.inputs, upstream)


@register("LSTMBlockCell")
def _lstm_cell(op: Any, *upstream: Any) -> list[Any]:
    """Zaremba et al. 2014, with peepholes (Gers & Schmidhuber 2000): i, cs, f, o, ci, co and h."""
    bias, clip, peephole = (op.get_attr(name) for name in ("forget_bias", "cell_clip", "use_peephole"))

    def formula(*inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x, before, h, w, w_i, w_f, w_o, b = inputs
        i, ci, f, o = tf.split(tf.matmul(tf.concat([x, h], 1), w) + b, 4, 1)
        i, f = tf.sigmoid(i + w_i * before * peephole), tf.sigmoid(f + bias + w_f * before * peephole)
        ci = tf.tanh(ci)
        cs = ci * i + before * f
        cs = tf.clip_by_value(cs, -clip, clip) if clip > 0 else cs
        o, co = tf.sigmoid(o + w_o * cs * peephole), tf.tanh(cs)
        return i, cs, f, o, ci, co, co * o

    return by_formula(formula, op.inputs, upstream)
