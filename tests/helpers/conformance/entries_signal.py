"""Fourier and cosine transforms, frames and windows."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entry import Entry, as_complex, entry, numbers

G, K = tf.signal, keras.ops
X = numbers(2, 4)
C = numbers(2, 4, 2)
ODD = numbers(2, 3)


def complexes(f: Any) -> Any:
    """A function of complex numbers, of pairs."""
    return lambda x: f(as_complex(x))


def _ffts() -> list[Entry]:
    shapes = {"": (4, 2), "2d": (2, 3, 2), "3d": (2, 1, 2, 2)}
    plain = [
        entry(f"tf.signal.{way}{kind}", complexes(getattr(G, way + kind)), numbers(*shape), np.zeros(shape))
        for kind, shape in shapes.items()
        for way in ("fft", "ifft")
    ]
    real = [
        entry(
            f"tf.signal.rfft{kind}, {how} length",
            partial(getattr(G, f"rfft{kind}"), fft_length=length),
            numbers(*shape),
        )
        for kind, shape, lengths in (
            ("", (2, 4), {"own": None, "odd": [3], "shorter": [2], "one": [1], "longer": [7]}),
            ("2d", (3, 4), {"own": None, "shorter": [2, 3], "longer": [4, 5], "mixed": [5, 2]}),
            ("3d", (2, 2, 3), {"own": None, "shorter": [1, 2, 2], "longer": [3, 2, 4]}),
        )
        for how, length in lengths.items()
    ]
    inverse = [
        entry(
            f"tf.signal.irfft{kind}, {how} length",
            complexes(partial(getattr(G, f"irfft{kind}"), fft_length=length)),
            numbers(*shape, 2),
        )
        for kind, shape, lengths in (
            ("", (2, 3), {"own": None, "odd": [5], "shorter": [2], "one": [1], "longer": [9]}),
            ("2d", (2, 3), {"own": None, "shorter": [1, 3], "longer": [4, 7], "mixed": [3, 2]}),
            ("3d", (2, 1, 2), {"own": None, "shorter": [1, 1, 1], "longer": [3, 2, 4]}),
        )
        for how, length in lengths.items()
    ]
    return plain + real + inverse


def _more() -> list[Entry]:
    return [
        entry("tf.signal.fftshift", lambda x: G.fftshift(x, -1), ODD),
        entry("tf.signal.ifftshift", G.ifftshift, ODD),
        entry("power of a spectrum", lambda x: tf.abs(G.rfft(x)) ** 2, X),
        entry("tf.math.real of rfft, fft_length", lambda x: tf.math.real(G.rfft(x, [1])), numbers(3)),
        *(entry(f"tf.signal.dct, type={n}", partial(G.dct, type=n), X) for n in (1, 2, 3, 4)),
        *(entry(f"tf.signal.idct, type={n}", partial(G.idct, type=n), X) for n in (1, 2, 3, 4)),
        entry("tf.signal.dct, n=3", partial(G.dct, n=3), X),
        entry("tf.signal.dct, n=6, ortho", partial(G.dct, n=6, norm="ortho"), X),
        entry("tf.signal.dct, type=3, n=3, ortho", partial(G.dct, type=3, n=3, norm="ortho"), X),
        entry("tf.signal.mdct", partial(G.mdct, frame_length=4), numbers(8)),
        entry("tf.signal.inverse_mdct", G.inverse_mdct, numbers(3, 2)),
        entry("tf.signal.frame", lambda x: G.frame(x, 3, 2), numbers(7)),
        entry("tf.signal.frame, pad_end", lambda x: G.frame(x, 3, 2, pad_end=True, pad_value=0.7), numbers(2, 6)),
        entry("tf.signal.frame, axis=0", lambda x: G.frame(x, 2, 1, axis=0), numbers(4, 2)),
        entry("tf.signal.overlap_and_add", lambda x: G.overlap_and_add(x, 2), numbers(3, 3)),
        entry("tf.signal.stft", lambda x: G.stft(x, 4, 2), numbers(8)),
        entry("tf.signal.stft, fft_length", lambda x: G.stft(x, 3, 2, fft_length=8, pad_end=True), numbers(6)),
        entry("tf.signal.stft, shorter fft_length", lambda x: G.stft(x, 4, 2, fft_length=2), numbers(6)),
        entry("tf.signal.inverse_stft", complexes(lambda z: G.inverse_stft(z, 4, 2)), numbers(3, 3, 2)),
        entry(
            "tf.signal.inverse_stft, fft_length",
            complexes(lambda z: G.inverse_stft(z, 3, 2, fft_length=8)),
            numbers(3, 5, 2),
        ),
        entry("tf.signal.mfccs_from_log_mel_spectrograms", G.mfccs_from_log_mel_spectrograms, X),
        entry(
            "mel spectrogram",
            lambda x: tf.matmul(
                tf.abs(G.rfft(x)), tf.cast(G.linear_to_mel_weight_matrix(2, 3, 16.0, 1.0, 8.0), x.dtype)
            ),
            X,
        ),
        entry("keras.ops.fft", lambda x, y: K.fft((x, y)), (X, X[::-1])),
        entry("keras.ops.fft2", lambda x, y: K.fft2((x, y)), (X, X[::-1])),
        entry("keras.ops.ifft2", lambda x, y: K.ifft2((x, y)), (X, X[::-1])),
        entry("keras.ops.rfft", K.rfft, X),
        entry("keras.ops.rfft, fft_length=3", partial(K.rfft, fft_length=3), X),
        entry("keras.ops.rfft, fft_length=6", partial(K.rfft, fft_length=6), X),
        entry("keras.ops.irfft", lambda x, y: K.irfft((x, y)), (X, X[::-1])),
        entry("keras.ops.irfft, fft_length=3", lambda x, y: K.irfft((x, y), fft_length=3), (X, X[::-1])),
        entry("keras.ops.stft", lambda x: K.stft(x, 4, 2, 4), numbers(2, 8)),
        entry("keras.ops.istft", lambda x, y: K.istft((x, y), 4, 2, 4), (numbers(3, 3), numbers(3, 3, seed=1))),
        entry("keras.ops.extract_sequences", lambda x: K.extract_sequences(x, 3, 2), numbers(2, 7)),
    ]


ENTRIES = [*_ffts(), *_more()]
