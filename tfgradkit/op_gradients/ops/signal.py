"""Gradients of Fourier transforms and of audio features that TensorFlow 2.21 lacks or gets wrong."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from ..registry import by_formula, register, take_over

# Over how many axes.
_AXES = {f"{way}FFT{axes}": int(axes[:1] or 1) for way in ("R", "IR") for axes in ("", "2D", "3D")}


@register("RFFT3D")
@take_over("RFFT", "RFFT2D")
def _rfft(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """Re(Fᴴ u): the unscaled inverse of u, in which what stands for a pair of conjugate frequencies counts half.

    TensorFlow's takes the length of the transform for that of x.
    """
    x, lengths = op.inputs
    axes = _AXES[op.type]
    halved = upstream * tf.cast(1 / _frequencies(lengths[-1], upstream), upstream.dtype)
    full = getattr(tf.raw_ops, f"I{op.type}")(input=halved, fft_length=lengths, Treal=x.dtype)
    return _resized(full * tf.cast(tf.reduce_prod(lengths), x.dtype), tf.shape(x)[-axes:], x), None


@register("IRFFT3D")
@take_over("IRFFT", "IRFFT2D")
def _irfft(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """The transform of u; what stands for a pair of conjugate frequencies counts twice."""
    y, lengths = op.inputs
    axes = _AXES[op.type]
    spectrum = getattr(tf.raw_ops, op.type[1:])(input=upstream, fft_length=lengths, Tcomplex=y.dtype)
    scale = _frequencies(lengths[-1], spectrum) / tf.cast(tf.reduce_prod(lengths), upstream.dtype)
    return _resized(spectrum * tf.cast(scale, spectrum.dtype), tf.shape(y)[-axes:], y), None


def _frequencies(length: tf.Tensor, spectrum: tf.Tensor) -> tf.Tensor:
    """How many frequencies of a real signal each of ``spectrum``'s last axis stands for: two, or one at both ends."""
    k = tf.range(tf.shape(spectrum)[-1])
    alone = tf.logical_or(tf.equal(k, 0), tf.equal(2 * k, length))
    return tf.where(alone, tf.ones([], spectrum.dtype.real_dtype), 2)


def _resized(x: tf.Tensor, lengths: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """The last axes cut or filled with zeros to ``lengths``, those of ``like``."""
    free = x.shape.rank - lengths.shape[0]
    if x.shape[free:].is_fully_defined() and x.shape[free:] == like.shape[free:]:
        return x
    kept = tf.minimum(tf.shape(x)[free:], lengths)
    cut = tf.slice(x, tf.zeros([x.shape.rank], tf.int32), tf.concat([tf.shape(x)[:free], kept], 0))
    after = tf.concat([tf.zeros([free], tf.int32), lengths - kept], 0)
    filled = tf.pad(cut, tf.stack([tf.zeros_like(after), after], 1))
    return tf.ensure_shape(filled, [*x.shape[:free], *like.shape[free:]])


@register("AudioSpectrogram")
def _audio_spectrogram(op: Any, upstream: tf.Tensor) -> list[tf.Tensor]:
    """Frames under a periodic Hann window, their Fourier transform, its magnitude or power."""
    window, stride = op.get_attr("window_size"), op.get_attr("stride")
    length = 2 ** math.ceil(math.log2(window))

    def formula(samples: tf.Tensor) -> tf.Tensor:
        frames = tf.signal.frame(tf.transpose(samples), window, stride)
        spectrum = tf.signal.rfft(frames * tf.signal.hann_window(window, dtype=samples.dtype), [length])
        power = tf.math.real(spectrum) ** 2 + tf.math.imag(spectrum) ** 2
        return power if op.get_attr("magnitude_squared") else tf.sqrt(power)

    return by_formula(formula, op.inputs, upstream)
