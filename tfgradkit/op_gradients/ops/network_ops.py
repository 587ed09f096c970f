"""Gradients of ops of neural networks: activations, normalization, fake quantization, cells of TensorFlow 1.

TensorFlow registers the gradients of fake quantization as not differentiable. In the range a gradient goes to x, below
it to the minimum, above it to the maximum; so the gradient of that is a choice among three, and every further one zero.
The recurrent cells had their gradient in TensorFlow 1's own Python layers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ..registry import SHIPPED, attributes, by_formula, register, take_over, withdraw

# λ and λα of G. Klambauer, T. Unterthiner, A. Mayr and S. Hochreiter, "Self-normalizing neural networks", 2017.
_SCALE, _SCALE_ALPHA = 1.0507009873554805, 1.7580993408473769


@take_over("Selu")
def _selu(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """λ, or y + λα below zero. At zero, where there is none, XLA's kernel says λα, and the other λ."""
    y = op.outputs[0]
    return upstream * tf.where(y < 0, y + tf.constant(_SCALE_ALPHA, y.dtype), tf.constant(_SCALE, y.dtype))


@register("SoftsignGrad")
def _softsign_grad(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """SoftsignGrad(g, x) = g / (1 + |x|)²."""
    g, x = op.inputs
    width = 1 + tf.abs(x)
    return upstream / width**2, -2 * upstream * g * tf.sign(x) / width**3


@register("LRNGrad")
def _lrn_grad(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """LRNGrad(g, x, y) = g s⁻ᵝ − 2αβ x W(g y / s), s = bias + α W(x²), W the sum over a window of channels."""
    radius, bias = op.get_attr("depth_radius"), op.get_attr("bias")
    alpha, beta = op.get_attr("alpha"), op.get_attr("beta")

    def windowed(z: tf.Tensor) -> tf.Tensor:
        depth = tf.shape(z)[-1]
        return tf.tensordot(z, tf.linalg.band_part(tf.ones([depth, depth], z.dtype), radius, radius), 1)

    def formula(g: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        s = bias + alpha * windowed(x**2)
        return g * s**-beta - 2 * alpha * beta * x * windowed(g * y / s)

    return by_formula(formula, op.inputs, upstream)


@take_over("FakeQuantWithMinMaxArgs")
def _fake_quant_args(op: Any, upstream: tf.Tensor) -> tf.Tensor:
    """To x inside the range alone."""
    chosen = attributes(op, "min", "max", "num_bits", "narrow_range")
    inside = tf.raw_ops.FakeQuantWithMinMaxArgsGradient(gradients=tf.ones_like(upstream), inputs=op.inputs[0], **chosen)
    return tf.stop_gradient(inside) * upstream


@take_over("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def _fake_quant_vars(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Inside the range to x, below it to the minimum, above it to the maximum."""
    x, low, high = op.inputs
    chosen = attributes(op, "num_bits", "narrow_range")
    gradient = getattr(tf.raw_ops, f"{op.type}Gradient")
    inside, *_ = gradient(gradients=tf.ones_like(upstream), inputs=x, min=low, max=high, **chosen)
    inside = tf.stop_gradient(inside)
    outside, below = (1 - inside) * upstream, tf.cast(x < (low + high) / 2, upstream.dtype)
    axes = list(range(x.shape.rank - low.shape.rank))
    return inside * upstream, tf.reduce_sum(outside * below, axes), tf.reduce_sum(outside * (1 - below), axes)


@take_over("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def _batch_norm(op: Any, *upstream: tf.Tensor) -> Any:
    """TensorFlow's leaves out the moments: in inference they are arguments, in training results."""
    chosen = attributes(op, "is_training", "epsilon", "data_format", "exponential_avg_factor")
    if chosen["is_training"]:
        found = SHIPPED[op.type].replaces(op, *upstream)
        if all(_is_nothing(u) for u in upstream[1:3]):  # as in training, where the moments are only kept
            return found
        by_x, by_scale, by_offset, *_ = found
        by_moments, *rest = _through_moments(op, chosen, *upstream[1:3])
        return by_x + by_moments, by_scale, by_offset, *rest
    x, scale, _, mean, variance = op.inputs  # a tape doesn't keep the offset

    def formula(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> Any:
        wide = [_along_channels(z, chosen["data_format"]) for z in (scale, offset, mean, variance)]
        y = (tf.cast(x, mean.dtype) - wide[2]) * tf.math.rsqrt(wide[3] + chosen["epsilon"]) * wide[0] + wide[1]
        return tf.cast(y, x.dtype), mean + 0, variance + 0

    return by_formula(formula, (x, scale, tf.zeros_like(scale), mean, variance), upstream[:3])


def _is_nothing(upstream: tf.Tensor) -> bool:
    """Whether it is known that nothing came."""
    known = tf.get_static_value(upstream)
    return known is not None and not np.any(known)


def _through_moments(op: Any, chosen: dict[str, Any], by_mean: tf.Tensor, by_variance: tf.Tensor) -> list[Any]:
    """By x what the moments of the batch got, and by the moments given before: the results may be running means."""
    x, new = op.inputs[0], chosen["exponential_avg_factor"]
    layout = chosen["data_format"]
    count = tf.cast(tf.size(x) / tf.size(by_mean), by_mean.dtype)
    wide = tf.cast(x, by_mean.dtype)
    mean = tf.reduce_mean(wide, [n for n, axis in enumerate(layout) if axis != "C"], keepdims=True)
    to_mean, to_variance = (_along_channels(new * u, layout) for u in (by_mean, by_variance))
    by_x = to_mean / count + to_variance * 2 * (wide - mean) / tf.maximum(count - 1, 1)
    before = [None, None] if new == 1 else [(1 - new) * by_mean, (1 - new) * by_variance]
    return [tf.cast(by_x, x.dtype), *before]


def _along_channels(z: tf.Tensor, layout: str) -> tf.Tensor:
    """A vector of the channels that broadcasts with x."""
    return tf.reshape(z, [-1] + [1] * (len(layout) - 1 - layout.index("C")))


withdraw("QuantizeAndDequantizeV4Grad")


@take_over("QuantizeAndDequantizeV4")
def _quantized(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None, None]:
    """To x inside the range alone. The rule of TensorFlow's gradient op takes one result, and it has three."""
    x, low, high = op.inputs
    inside, *_ = tf.raw_ops.QuantizeAndDequantizeV4Grad(
        gradients=tf.ones_like(x), input=x, input_min=low, input_max=high, axis=op.get_attr("axis")
    )
    return tf.stop_gradient(inside) * upstream, None, None


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
    return by_formula(partial(_lstm_step, _lstm_choices(op)), op.inputs, upstream)


@take_over("BlockLSTM", "BlockLSTMV2")
def _lstm(op: Any, *upstream: Any) -> list[Any]:
    """The cell in a loop. TensorFlow's gives i, f, o, ci and co nothing, and takes the gates of V2 for those of V1."""
    count, chosen = op.inputs[0], _lstm_choices(op)

    def formula(xs: tf.Tensor, before: tf.Tensor, h: tf.Tensor, *weights: tf.Tensor) -> tuple[tf.Tensor, ...]:
        steps = tf.scan(lambda ys, x: _lstm_step(chosen, x, ys[1], ys[6], *weights), xs, initializer=(*[before] * 6, h))
        run = tf.range(tf.shape(xs, count.dtype)[0]) < count
        return tuple(tf.where(run[:, None, None], y, tf.zeros_like(y)) for y in steps)

    return [None, *by_formula(formula, op.inputs[1:], upstream)]


def _lstm_choices(op: Any) -> tuple[float, float, bool, bool]:
    """The bias of the forget gate, where cells are clipped, whether there are peepholes, whether f comes before ci."""
    later = op.type == "BlockLSTMV2"
    bias = 0.0 if later else op.get_attr("forget_bias")
    return bias, op.get_attr("cell_clip"), op.get_attr("use_peephole"), later


def _lstm_step(chosen: tuple[float, float, bool, bool], *inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
    x, before, h, w, w_i, w_f, w_o, b = inputs
    bias, clip, peephole, later = chosen
    i, ci, f, o = tf.split(tf.matmul(tf.concat([x, h], 1), w) + b, 4, 1)
    ci, f = (f, ci) if later else (ci, f)
    i, f = tf.sigmoid(i + w_i * before * peephole), tf.sigmoid(f + bias + w_f * before * peephole)
    ci = tf.tanh(ci)
    cs = ci * i + before * f
    cs = tf.clip_by_value(cs, -clip, clip) if clip > 0 else cs
    o, co = tf.sigmoid(o + w_o * cs * peephole), tf.tanh(cs)
    return i, cs, f, o, ci, co, co * o
