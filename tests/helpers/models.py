"""Models for the tests: small, seeded, and built for one dtype."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

L = keras.layers
BRANCH = 4
ACTIVATIONS = tuple(
    sorted(
        name
        for name in dir(keras.activations)
        if callable(getattr(keras.activations, name))
        and not name.startswith("_")
        and name not in ("get", "serialize", "deserialize")
    )
)


def _dense(name: str) -> Callable:
    """A dense layer with an activation; two of them can't be given to the layer by name."""
    if name == "glu":  # halves the axis, which Dense does not expect
        return lambda x: keras.activations.glu(L.Dense(6)(x))
    if name == "threshold":  # has required arguments beside x
        return lambda x: L.Dense(6, lambda h: keras.activations.threshold(h, threshold=0.1, default_value=0.2))(x)
    return lambda x: L.Dense(6, activation=name, name=f"dense_{name}")(x)


def build(make: Callable[[], keras.Model], dtype: str) -> keras.Model:
    """``make()`` under a dtype policy, with seeded weights that are not the initial zeros and ones."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        keras.utils.set_random_seed(1)
        model = make()
    finally:
        keras.config.set_dtype_policy(before)
    generator = np.random.default_rng(2)
    for variable in model.weights:
        low, high = (0.5, 1.5) if "variance" in variable.path else (-0.8, 0.8)
        variable.assign(generator.uniform(low, high, variable.shape))
    return model


def mlp(inputs: int = 6, outputs: int = 6, width: int = 64, activation: str = "tanh") -> Callable[[], keras.Model]:
    """Two hidden layers."""

    def make() -> keras.Model:
        dtype = keras.config.dtype_policy().name
        return keras.Sequential(
            [
                keras.Input((inputs,), dtype=dtype),
                L.Dense(width, activation),
                L.Dense(width, activation),
                L.Dense(outputs),
            ],
            name="mlp",
        )

    return make


def branches(layers: dict[str, Callable]) -> keras.Model:
    """One input, and for each layer a branch of ``BRANCH`` outputs, in the order of the dict."""
    dtype = keras.config.dtype_policy().name
    x = keras.Input((BRANCH,), dtype=dtype)
    ends = [L.Dense(BRANCH, name=f"end_{name}")(L.Flatten()(make(x))) for name, make in layers.items()]
    return keras.Model(x, L.Concatenate()(ends), name="branches")


def activation_branches() -> dict[str, Callable]:
    """A dense layer with each activation that Keras has."""
    return {name: _dense(name) for name in ACTIVATIONS}


def _residual(x: keras.KerasTensor) -> keras.KerasTensor:
    return L.Add()([x, L.Dense(BRANCH, "tanh")(x)])


def _shapes(x: keras.KerasTensor) -> keras.KerasTensor:
    return L.Permute((2, 1))(L.Dense(3, "tanh")(L.Reshape((2, 2))(x)))


def _merges(x: keras.KerasTensor) -> keras.KerasTensor:
    a, b = L.Dense(5, "tanh")(x), L.Dense(5, "sigmoid")(x)
    merged = [
        L.Add()([a, b]),
        L.Subtract()([a, b]),
        L.Multiply()([a, b]),
        L.Average()([a, b]),
        L.Maximum()([a, b]),
        L.Minimum()([a, b]),
    ]
    return L.Concatenate()([*merged, L.Dot(axes=1)([a, b])])


def layer_branches() -> dict[str, Callable]:
    """Every kind of layer that a dense feed-forward model is made of."""
    return {
        "rescaling": lambda x: L.Rescaling(0.5, 1.0)(x),
        "normalization": lambda x: L.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0])(x),
        "batch_normalization": lambda x: L.BatchNormalization()(L.Dense(6, "tanh")(x)),
        "layer_normalization": lambda x: L.LayerNormalization()(x),
        "group_normalization": lambda x: L.GroupNormalization(2)(L.Dense(6, "tanh")(x)),
        "rms_normalization": lambda x: L.RMSNormalization()(x),
        "unit_normalization": lambda x: L.UnitNormalization()(x),
        "dropout": lambda x: L.Dropout(0.5)(x),
        "gaussian_noise": lambda x: L.GaussianNoise(0.5)(x),
        "residual": _residual,
        "merges": _merges,
        "reshape_permute": _shapes,
        "repeat_vector": lambda x: L.RepeatVector(3)(x),
        "einsum_dense": lambda x: L.EinsumDense("abc,cd->abd", output_shape=(2, 5), bias_axes="d")(
            L.Reshape((2, 2))(x)
        ),
        "batched_product": lambda x: L.Dot(axes=(2, 1))(
            [L.Reshape((2, 2))(x), L.Reshape((2, 2))(L.Dense(4, "tanh")(x))]
        ),
        "leaky_relu_layer": lambda x: L.LeakyReLU()(x),
        "elu_layer": lambda x: L.ELU()(x),
        "prelu": lambda x: L.PReLU()(x),
        "softmax_layer": lambda x: L.Softmax()(x),
        "activation_layer": lambda x: L.Activation("gelu")(x),
    }
