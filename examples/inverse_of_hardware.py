#!/usr/bin/env python3
"""A network trained through hardware that nobody can differentiate, until it is the hardware's inverse.

    python examples/inverse_of_hardware.py [--derivative gain|finite-difference] [--epochs 60]

An amplifier of two channels turns voltages v into y = F(v): it saturates, the channels leak into each other, and what
is measured has noise. The network N shall find the voltages for a wanted y. The loss is measured behind the
amplifier, |F(N(y)) - y|²; to get past F, training needs its Jacobian, and an approximate one will do: here
the gain for small signals, measured once, or finite differences on the running hardware.

Afterwards F(N(y)) is y, and N is compared with the inverse that is known here, since this hardware is a simulation.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

import tfgradkit as tgk

LIMIT = 1.5  # what the amplifier saturates at
WANTED = 1.1  # the largest output that is asked for
NOISE = 1e-3


class Amplifier:
    """The hardware: ``[B, 2]`` voltages in, ``[B, 2]`` measurements out."""

    def __init__(self, seed: int = 0) -> None:
        self._mixing = np.array([[1.0, 0.25], [-0.15, 0.8]])
        self._noise = np.random.default_rng(seed)
        self.measurements = 0

    def measure(self, volts: np.ndarray) -> np.ndarray:
        """One measurement a sample, all of a batch at once."""
        self.measurements += 1
        clean = LIMIT * np.tanh(volts @ self._mixing.T)
        return clean + NOISE * self._noise.standard_normal(clean.shape)

    def small_signal_gain(self) -> np.ndarray:
        """∂y/∂v at zero, ``[2, 2]``, from 100 measurements of each channel at ±0.05 V."""
        steps = 0.05 * np.repeat(np.eye(2), 100, 0)
        change = (self.measure(steps) - self.measure(-steps)) / 0.1
        return change.reshape(2, 100, 2).mean(1).T

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """The voltages for noiseless measurements: what nobody would know."""
        return np.asarray(np.linalg.solve(self._mixing, np.arctanh(y / LIMIT).T).T)


@dataclass
class Result:
    """What came out.

    Attributes:
        before, after: root mean square of F(N(y)) - y.
        inverse: root mean square of N(y) minus the true inverse, in volts.
        measurements: how often the hardware measured a batch.
    """

    before: float
    after: float
    inverse: float
    measurements: int


def train(derivative: str = "gain", epochs: int = 60, samples: int = 1024) -> Result:
    """Trains a network through the amplifier with one of the two derivatives."""
    keras.utils.set_random_seed(1)
    amplifier = Amplifier()
    gain = amplifier.small_signal_gain()
    hardware = tgk.wrap_external(
        amplifier.measure,
        tf.TensorSpec([None, 2], tf.float32),
        # [B, 2, 2], the same for each sample: wrong where the amplifier saturates, but it leads downhill.
        derivative=(lambda volts: np.tile(gain, (len(volts), 1, 1))) if derivative == "gain" else derivative,
        dtype="float64",
        name="amplifier",
    )
    wanted = keras.Input((2,))
    network = keras.Sequential([*(keras.layers.Dense(64, "gelu") for _ in range(2)), keras.layers.Dense(2)])
    loop = keras.Model(wanted, hardware(network(wanted)))
    rate = keras.optimizers.schedules.CosineDecay(1e-2, epochs * samples // 64)
    loop.compile(keras.optimizers.Adam(rate), "mse")

    generator = np.random.default_rng(2)
    y, test = (generator.uniform(-WANTED, WANTED, (count, 2)) for count in (samples, 500))
    before = _rms(loop.predict(test, verbose=0) - test)
    loop.fit(y, y, batch_size=64, epochs=epochs, verbose=0)
    after = _rms(loop.predict(test, verbose=0) - test)
    return Result(
        before, after, _rms(network.predict(test, verbose=0) - amplifier.inverse(test)), amplifier.measurements
    )


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def main() -> None:
    """Trains, and says how good the inverse is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--derivative", choices=["gain", "finite-difference"], default="gain")
    parser.add_argument("--epochs", type=int, default=60)
    options = parser.parse_args()
    result = train(options.derivative, options.epochs)
    print(f"|F(N(y)) - y|, root mean square: {result.before:.3f} before, {result.after:.4f} after training")
    print(f"|N(y) - F⁻¹(y)|, root mean square: {result.inverse:.4f} V")
    print(f"the hardware measured {result.measurements:,} batches")


if __name__ == "__main__":
    main()
