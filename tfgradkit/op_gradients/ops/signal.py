"""Gradients of Fourier transforms and of audio features that TensorFlow 2.21 lacks."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from ..registry import by_formula, register

_AXES = 3


@register("RFFT3D")
def _rfft(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """Re(Fᴴ u): the unscaled inverse transform of u, the half of the spectrum that is not there being zero."""
    x, lengths = op.inputs
    full = _resized(upstream, lengths)
    scale = tf.cast(tf.reduce_prod(lengths), full.dtype)
    return _resized(tf.math.real(tf.signal.ifft3d(full) * scale), tf.shape(x)[-_AXES:]), None


@register("IRFFT3D")
def _irfft(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """The transform of u; what stands for a pair of conjugate frequencies counts twice."""
    y, lengths = op.inputs
    spectrum = tf.signal.rfft3d(upstream, lengths)
    last, k = lengths[-1], tf.range(tf.shape(spectrum)[-1])
    alone = tf.logical_or(tf.equal(k, 0), tf.equal(2 * k, last))
    scale = tf.where(alone, tf.ones([], upstream.dtype), 2) / tf.cast(tf.reduce_prod(lengths), upstream.dtype)
    return _resized(spectrum * tf.cast(scale, spectrum.dtype), tf.shape(y)[-_AXES:]), None


def _resized(x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The last axes cut or filled with zeros to ``lengths``."""
    free = tf.rank(x) - _AXES
    kept = tf.minimum(tf.shape(x)[-_AXES:], lengths)
    cut = tf.slice(x, tf.zeros([tf.rank(x)], tf.int32), tf.concat([tf.shape(x)[:free], kept], 0))
    after = tf.concat([tf.zeros([free], tf.int32), lengths - kept], 0)
    filled = tf.pad(cut, tf.stack([tf.zeros_like(after), after], 1))
    return tf.ensure_shape(filled, [*x.shape[:-_AXES], *[None] * _AXES])


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
