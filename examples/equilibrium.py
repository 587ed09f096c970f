#!/usr/bin/env python3
"""A deep equilibrium layer trained in Keras: what happens at one end of a chain is told at the other.

    python examples/equilibrium.py [--epochs 40]

Each node of a chain sees its two neighbours. A layer's output is the fixed point z = tanh(Wz' + Ux + b) with z'
those of the neighbours, as of infinitely many equal layers, found by Newton's method; its gradients come from
the fixed point alone (S. Bai, J. Z. Kolter & V. Koltun, "Deep Equilibrium Models", 2019), so that training keeps
nothing of the way there. The rows of W stay below 1 in sum, which makes the fixed point unique (L. El Ghaoui et
al., "Implicit Deep Learning", 2021). The class of a chain is the sign at its first node; it is read at the last
one, to which a layer applied once or twice carries nothing (F. Gu et al., "Implicit Graph Neural Networks", 2020).
"""

from __future__ import annotations

import argparse
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfgradkit as tgk

NODES = 6


@keras.saving.register_keras_serializable(package="examples")
class Equilibrium(keras.layers.Layer):
    """The fixed point on a chain: ``[B, nodes, features]`` to ``[B, nodes, units]``.

    Args:
        units: elements of z at a node.
        turns: apply the layer so many times instead; None for the fixed point.
    """

    def __init__(self, units: int, turns: int | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.units, self.turns = units, turns
        self.inject = keras.layers.Dense(units)
        self.fixed_point = tgk.implicit(lambda z, x: z - self.turn(z, x), batched=True)

    def build(self, shape: Any) -> None:
        """The weights."""
        self.inject.build(shape)
        self.kernel = self.add_weight(name="kernel", shape=(2 * self.units, self.units))

    def turn(self, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """The layer once: z to the next z."""
        sums = tf.reduce_sum(tf.abs(self.kernel), 0)
        padded = tf.pad(z, [[0, 0], [1, 1], [0, 0]])
        neighbours = tf.concat([padded[:, :-2], padded[:, 2:]], 2)
        return tf.tanh(tf.matmul(neighbours, self.kernel * 0.95 / tf.maximum(sums, 0.95)) + x)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """The fixed point."""
        x = self.inject(x)
        return self.fixed_point(x) if self.turns is None else self.repeated(x, self.turns)

    def repeated(self, x: tf.Tensor, turns: int) -> tf.Tensor:
        """z after so many turns, from zero."""
        z = tf.zeros_like(x)
        for _ in range(turns):
            z = self.turn(z, x)
        return z

    def get_config(self) -> dict[str, Any]:
        """What the layer is made of."""
        return {**super().get_config(), "units": self.units, "turns": self.turns}


def chains(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``[count, nodes, 1]``, noise but for the first node, and whether that one is positive."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, count)
    x = generator.normal(0, 0.1, (count, NODES, 1))
    x[:, 0, 0] = 2 * label - 1
    return x.astype("float32"), label.astype("float32")


def trained(turns: int | None, epochs: int) -> tuple[keras.Model, float]:
    """The model, and its accuracy on chains that it was not trained with."""
    keras.utils.set_random_seed(1)
    layer = Equilibrium(2, turns)
    model = keras.Sequential(
        [keras.Input((NODES, 1)), layer, keras.layers.Cropping1D((NODES - 1, 0)), keras.layers.Flatten()]
    )
    model.add(keras.layers.Dense(1, "sigmoid"))
    # Without XLA a fixed point that isn't found is an error; and so short a training doesn't wait for its compiler.
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", jit_compile=False)
    model.fit(*chains(512, seed=1), batch_size=64, epochs=epochs, verbose=0)
    x, label = chains(512, seed=2)
    return model, float(np.mean((model(x).numpy()[:, 0] > 0.5) == label))


def gradient_error(layer: Equilibrium, turns: int = 400) -> float:
    """The gradient by W against backpropagation through so many turns, relative."""
    x, _ = chains(64, seed=3)
    found = []
    for value in (layer.fixed_point, lambda x: layer.repeated(x, turns)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(value(layer.inject(x)) ** 2)
        found.append(tape.gradient(loss, layer.kernel.value).numpy())
    return float(np.max(np.abs(found[0] - found[1])) / np.max(np.abs(found[1])))


def main() -> None:
    """Trains both, prints what they reach."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()
    model, accuracy = trained(None, arguments.epochs)
    _, twice = trained(2, arguments.epochs)
    print(f"accuracy on new chains: equilibrium {accuracy:.1%}, the same layer applied twice {twice:.1%}")
    layer = model.layers[0]
    steps = layer.fixed_point.solve(layer.inject(chains(512, seed=2)[0])).iterations
    print(f"Newton steps: {int(tf.reduce_min(steps))} to {int(tf.reduce_max(steps))}")
    print(f"gradient by W against backpropagation through 400 turns: {gradient_error(layer):.1e}")


if __name__ == "__main__":
    main()
