"""Gradients of ops of neural networks: activations, normalization, fake quantization, cells of TensorFlow 1.

TensorFlow registers the gradients of fake quantization as not differentiable. In the range a gradient goes to x, below
it to the minimum, above it to the maximum; so the gradient of that is a choice among three, and every further one zero.
The recurrent cells had their gradient in TensorFlow 1's own Python layers.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..registry import attributes, by_formula, register, take_over

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


@take_over("QuantizeAndDequantizeV4Grad")
def _quantized_gradient(op: Any, by_x: tf.Tensor, *_: Any) -> tuple[tf.Tensor, None, None, None]:
    """Keeps what is inside the range, and gives the ends nothing; TensorFlow's rule takes one result of the three."""
    _, x, low, high = op.inputs
    kept = tf.raw_ops.QuantizeAndDequantizeV4Grad(
        gradients=by_x, input=x, input_min=low, input_max=high, axis=op.get_attr("axis")
    )
    return kept[0], None, None, None


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
