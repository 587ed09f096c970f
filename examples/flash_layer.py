#!/usr/bin/env python3
"""States of water from pressure and internal energy as a Keras layer, with the exact derivative of the state.

    python examples/flash_layer.py [saved_models/water_eos.keras] [--states 50]

The model gives (p, u) of (T, rho); a flow solver knows the other way round, and needs how the state changes with
what is given. The layer solves for the state by Newton's method and is differentiated by the implicit function
theorem; `examples/flash.c` solves the same equations without TensorFlow.
"""

from __future__ import annotations

import argparse
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfgradkit as tgk

SCALE = np.array([1e8, 1e6])  # Pa, J/kg
LOW, HIGH = np.array([660.0, 1.0]), np.array([1100.0, 500.0])  # K, kg/m3


class Flash(keras.layers.Layer):
    """(p, u) -> (T, rho), both ``[B, 2]`` in SI units.

    Args:
        equation_of_state: (T, rho) -> (p, u).
    """

    def __init__(self, equation_of_state: keras.Model, **keywords: Any) -> None:
        super().__init__(dtype=equation_of_state.inputs[0].dtype, **keywords)
        self.equation_of_state = equation_of_state
        # The unknown between the ends of its range, so that neither K nor kg/m3 are larger than the other.
        self.state = tgk.implicit(self.residual, initial=[0.5, 0.5], batched=True)

    def residual(self, place: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """By how much the (p, u) of a state miss the given ones."""
        return (self.equation_of_state(LOW + place * (HIGH - LOW)) - given) / SCALE

    def call(self, given: tf.Tensor) -> tf.Tensor:
        """The states."""
        return LOW + self.state(given) * (HIGH - LOW)


def differences(layer: Flash, given: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Central differences of the states by the given values: ``[B, 2, 2]``."""
    steps = h * SCALE
    columns = [(layer(given + e) - layer(given - e)).numpy() / (2 * e.sum()) for e in np.diag(steps)]
    return np.stack(columns, 2)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the size that each entry of the Jacobian has."""
    return float(np.max(np.abs(found - expected) / np.max(np.abs(expected), 0)))


def main() -> None:
    """Solves for some states, and looks at their derivative from three sides."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="saved_models/water_eos.keras")
    parser.add_argument("--states", type=int, default=50)
    arguments = parser.parse_args()
    model = tgk.load(arguments.model)
    layer = Flash(model)
    true = np.random.default_rng(0).uniform([700.0, 50.0], [1050.0, 450.0], (arguments.states, 2))
    given = model(true).numpy()

    state, jacobian = tgk.value_and_jacobian(layer)(given)
    solution = layer.state.solve(given)
    print(f"{len(true)} states from p and u in {int(tf.reduce_max(solution.iterations))} Newton steps at most")
    print(f"  error of (T, rho), relative to their range: {np.max(np.abs(state - true) / (HIGH - LOW)):.1e}")
    print("the derivative of the states by (p, u)")
    print(f"  against central differences:              {relative(jacobian.numpy(), differences(layer, given)):.1e}")
    inverse = np.linalg.inv(tgk.jacobian(model)(true).numpy())
    print(f"  against the inverse of the model's own:   {relative(jacobian.numpy(), inverse):.1e}")
    x = jacobian.numpy()[0]
    print(f"at {true[0, 0]:.1f} K, {true[0, 1]:.1f} kg/m3: dT/dp {x[0, 0]:.4e} K/Pa at constant u, ", end="")
    print(f"dT/du {x[0, 1]:.4e} K kg/J at constant p")


if __name__ == "__main__":
    main()
