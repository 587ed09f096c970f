"""Healthy models of all kinds, seeded: each output depends on each input, whatever its sum does."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

L = keras.layers


def _unit(z):
    return z / tf.norm(z, axis=-1, keepdims=True)


# Ends of a model: of many the sum of the outputs is constant, or their weighted sum.
HEADS = {
    "softmax": lambda n: L.Dense(n, "softmax"),
    "log_softmax": lambda n: L.Dense(n, "log_softmax"),
    "linear": lambda n: L.Dense(n),
    "sigmoid": lambda n: L.Dense(n, "sigmoid"),
    "normalized": lambda n: keras.Sequential([L.Dense(n), L.LayerNormalization()]),
    "without its mean": lambda n: keras.Sequential([L.Dense(n), L.Lambda(lambda z: z - tf.reduce_mean(z, -1, True))]),
    "opposites": lambda n: keras.Sequential([L.Dense(n), L.Lambda(lambda z: tf.stack([z, -z], -1))]),
    "unit vectors": lambda n: keras.Sequential([L.Dense(n), L.Lambda(_unit)]),
    "differences": lambda n: keras.Sequential([L.Dense(n), L.Lambda(lambda z: z - tf.roll(z, 1, -1))]),
    "a pair of probabilities": lambda n: keras.Sequential(
        [L.Dense(1, "sigmoid"), L.Lambda(lambda p: tf.concat([p, 1 - p], -1))]
    ),
}


class Residual(keras.Model):
    """A subclassed model."""

    def __init__(self, units, head):
        super().__init__()
        self.start, self.inner = L.Dense(units), [L.Dense(units, "tanh") for _ in range(2)]
        self.norm, self.head = L.LayerNormalization(), head

    def call(self, x):
        h = self.start(x)
        for layer in self.inner:
            h = h + layer(self.norm(h))
        return self.head(h)


def _dense(random, head):
    activations = ["tanh", "gelu", "elu", "swish", "softplus", "leaky_relu", "mish"]
    hidden = [
        L.Dense(int(random.integers(6, 17)), str(random.choice(activations))) for _ in range(random.integers(1, 4))
    ]
    return keras.Sequential([keras.Input((6,)), *hidden, head]), (6,)


def _convolutions(random, head):
    pool = L.AveragePooling2D(2) if random.random() < 0.5 else L.GlobalAveragePooling2D()
    layers = [L.Conv2D(4, 3, padding="same", activation="gelu"), L.GroupNormalization(2), pool, L.Flatten(), head]
    return keras.Sequential([keras.Input((6, 6, 2)), *layers]), (6, 6, 2)


def _recurrent(random, head):
    kind = [L.LSTM, L.GRU, L.SimpleRNN][int(random.integers(3))]
    layer = L.Bidirectional(kind(4)) if random.random() < 0.5 else kind(4)
    return keras.Sequential([keras.Input((4, 3)), layer, head]), (4, 3)


def _attention(random, head):
    x = keras.Input((4, 6))
    h = L.LayerNormalization()(x + L.MultiHeadAttention(2, 3)(x, x))
    return keras.Model(x, head(L.Flatten()(h + L.Dense(6, "gelu")(h)))), (4, 6)


def _two_results(random, head):
    x = keras.Input((6,))
    h = L.Dense(8, "tanh")(x)
    return keras.Model(x, {"first": head(h), "second": L.Softmax()(L.Dense(4)(h))}), (6,)


def _normalized(random, head):
    layers = [L.Dense(8), L.BatchNormalization(), L.Activation("tanh"), L.Dropout(0.3), head]
    return keras.Sequential([keras.Input((6,)), *layers]), (6,)


def _subclassed(random, head):
    made = Residual(8, head)
    made(np.zeros((1, 6), "float32"))
    return made, (6,)


_KINDS = (_dense, _dense, _convolutions, _recurrent, _attention, _two_results, _normalized, _subclassed)


def healthy(seed: int) -> tuple[keras.Model, np.ndarray, bool]:
    """A seeded model, an input of one to three samples, and whether it is to be run as in training."""
    random = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    names = sorted(HEADS)
    head = HEADS[names[seed % len(names)]](int(random.integers(3, 7)))
    made, shape = _KINDS[int(random.integers(len(_KINDS)))](random, head)
    training = bool(random.random() < 0.3)
    size = int(random.integers(2 if training else 1, 4))
    return made, random.normal(size=(size, *shape)).astype("float32"), training


def reaches(model: keras.Model, x: np.ndarray, training: bool) -> bool:
    """Whether every output has a derivative by the input: by the Jacobian's own numbers, one output after another."""
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ys = [tf.reshape(y, [-1]) for y in tf.nest.flatten(model(x, training=training))]
        parts = [[y[i] for i in range(y.shape[0])] for y in ys]
    return all(any(np.any(tape.gradient(part, x).numpy() != 0) for part in each) for each in parts)
