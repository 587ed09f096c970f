"""Every Keras layer against finite differences in float64: forward and reverse, first and second order.

``TFGRADKIT_SWEEP=1`` adds every strategy, and XLA for all of them.
"""

from __future__ import annotations

import functools
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_cases import CASES, ONCE, WITHOUT
from models import build

import tfgradkit as tgk
from tfgradkit.errors import GradientError

L = keras.layers
SWEEP = os.environ.get("TFGRADKIT_SWEEP") == "1"
# One of each family; all of them in a sweep.
COMPILED = [name for name in CASES if SWEEP or name in (
    "Resizing/area", "Resizing/bilinear",
    "Conv2D", "LSTM", "GRU/before", "MultiHeadAttention", "LayerNormalization", "MaxPooling2D", "UpSampling2D/bilinear",
)]  # fmt: skip
# What XLA has no kernel for; StridedSliceGrad of float64 with bounds that only the run knows is a bug in its own.
NOT_COMPILED = {
    "UpSampling2D/bicubic": "ResizeBicubic",
    "UpSampling2D/lanczos3": "ScaleAndTranslate",
    "Resizing/nearest": "ResizeNearestNeighborGrad",
    "Resizing/bicubic": "ResizeBicubic",
    "Resizing/area": "ResizeArea",
    "Resizing/lanczos3": "ScaleAndTranslate",
    "Resizing/antialias": "ScaleAndTranslate",
    "MixUp": "StatelessRandomGammaV3",
}
SECOND_ORDER = [name for name, case in CASES.items() if SWEEP or (case.smooth and case.modes != ONCE)]


@functools.cache
def model(name):
    case = CASES[name]

    def make():
        inputs = [keras.Input(shape, dtype=keras.config.dtype_policy().name) for shape in case.shapes]
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], case.make(*inputs))

    return build(make, case.dtype)


def point(name):
    """Two samples, all inputs in one row: evenly spread, so that no two tie, in seeded order."""
    case, generator = CASES[name], np.random.default_rng(7)
    count = sum(int(np.prod(shape)) for shape in case.shapes)
    spread = np.stack([generator.permutation(count), generator.permutation(count)])
    return case.low + (case.high - case.low) * (spread + 0.37) / count


def nest(name, rows):
    """Rows as the model takes them."""
    shapes = CASES[name].shapes
    parts = np.split(rows, np.cumsum([np.prod(shape) for shape in shapes])[:-1], axis=-1)
    arrays = [tf.constant(part.reshape(-1, *shape)) for part, shape in zip(parts, shapes, strict=True)]
    return arrays if len(arrays) > 1 else arrays[0]


def flat(result, batch):
    """All results, or all inputs, of a sample in one row."""
    return np.concatenate([np.reshape(leaf, (batch, -1)) for leaf in tf.nest.flatten(result)], -1).astype("float64")


def matrix(blocks, name):
    """Blocks by result and input as one matrix a sample."""
    inputs = [int(np.prod(shape)) for shape in CASES[name].shapes]
    found = [np.asarray(block) for block in tf.nest.flatten(blocks)]
    rows = [found[i : i + len(inputs)] for i in range(0, len(found), len(inputs))]
    return np.concatenate(
        [np.concatenate([b.reshape(2, -1, n) for b, n in zip(row, inputs, strict=True)], -1) for row in rows], 1
    )


def step(name):
    return 0.02 if CASES[name].single else 1e-3


def quotient(f, rows, directions, h):
    """Central differences of a batched f, exact to h**4, all points in one call: [2, outputs, directions]."""
    moves = np.array([1, -1, 2, -2])[:, None, None, None] * h * directions[:, None]
    values = f((rows + moves).reshape(-1, rows.shape[-1])).reshape(4, len(directions), 2, -1)
    near, far = values[0] - values[1], values[2] - values[3]
    return np.moveaxis((8 * near - far) / (12 * h), 0, -1)


def tolerance(name, expected):
    """Rounding over step; a float32 kernel rounds at 1e-7."""
    return (2e-5 if CASES[name].single else 1e-9) * max(1.0, np.abs(expected).max())


def test_every_layer_of_keras_is_here_or_has_a_reason():
    layers = {
        cls.__name__ for cls in vars(keras.layers).values() if isinstance(cls, type) and issubclass(cls, keras.Layer)
    }
    assert layers - {name.partition("/")[0] for name in CASES} - set(WITHOUT) == set()
    assert set(WITHOUT) <= layers
    assert not set(WITHOUT) & set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_jacobian_forward_and_reverse(name):
    rows = point(name)
    expected = quotient(
        lambda z: flat(model(name)(nest(name, z), training=False), len(z)), rows, np.eye(rows.shape[-1]), step(name)
    )
    for mode in CASES[name].modes:
        jacobian = matrix(tgk.jacobian(model(name), mode=mode)(nest(name, rows)), name)
        np.testing.assert_allclose(jacobian, expected, rtol=0, atol=tolerance(name, expected), err_msg=mode)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if SWEEP or (case.smooth and case.modes != ONCE)]
)
def test_hessian_product_of_a_scalar_head(name):
    rows = point(name)
    v = np.random.default_rng(8).normal(size=rows.shape)

    def head(*xs):
        y = model(name)(list(xs) if len(xs) > 1 else xs[0], training=False)
        parts = [
            tf.reduce_sum(tf.cast(leaf, tf.float64) ** 3, range(1, len(leaf.shape))) for leaf in tf.nest.flatten(y)
        ]
        return tf.add_n(parts)

    arguments = tf.nest.flatten(nest(name, rows))
    argnums = tuple(range(len(arguments)))
    options = {"batched": True, "argnums": argnums}
    gradient = tgk.gradient(head, **options)
    h = step(name)
    shifted = [flat(gradient(*tf.nest.flatten(nest(name, rows + k * h * v))), 2) for k in (1, -1, 2, -2)]
    expected = (8 * (shifted[0] - shifted[1]) - (shifted[2] - shifted[3])) / (12 * h)
    tangents = tuple(tf.nest.flatten(nest(name, v)))
    product = flat(tgk.hvp(head, **options)(*arguments, tangents=tangents), 2)
    np.testing.assert_allclose(product, expected, rtol=0, atol=10 * tolerance(name, expected))


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_by_xla(name):
    """Here, too, "auto" finds a strategy: a loop of a recurrent layer can't be vectorized for XLA."""
    rows = point(name)
    jacobian = tgk.jacobian(model(name), jit_compile=True)
    if name in NOT_COMPILED:
        with pytest.raises(GradientError, match=f"XLA can't compile the derivative(?s:.*){NOT_COMPILED[name]}"):
            jacobian(nest(name, rows))
        return
    expected = matrix(tgk.jacobian(model(name))(nest(name, rows)), name)
    np.testing.assert_allclose(matrix(jacobian(nest(name, rows)), name), expected, atol=tolerance(name, expected))


@pytest.mark.skipif(not SWEEP, reason="all strategies of all layers take minutes: TFGRADKIT_SWEEP=1")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("strategy", ["vectorize", "tile", "loop"])
def test_every_strategy_gives_the_same(name, mode, strategy):
    rows = point(name)
    expected = matrix(tgk.jacobian(model(name), mode=mode)(nest(name, rows)), name)
    derivative = tgk.jacobian(model(name), mode=mode, strategy=strategy)
    try:
        blocks = derivative(nest(name, rows))
    except GradientError:
        if strategy != "vectorize":
            raise
        pytest.skip("an op has no vectorized form")
    np.testing.assert_allclose(matrix(blocks, name), expected, rtol=0, atol=tolerance(name, expected))


@pytest.mark.parametrize("kind", ["Embedding", "ReversibleEmbedding"])
def test_embedding_by_the_embedded_vectors(kind):
    """An embedding takes integers; its result is what can be differentiated by."""

    def make():
        tokens = keras.Input((3,), dtype="int32")
        x = getattr(L, kind)(5, 2, name="embedded")(tokens)
        return keras.Model(tokens, L.Dense(2, "tanh")(L.Flatten()(L.Conv1D(2, 2, activation="tanh")(x))))

    whole = build(make, "float64")
    embedded = whole.get_layer("embedded")
    rest = keras.Model(embedded.output, whole.output)
    tokens = np.array([[1, 0, 4], [2, 2, 3]])
    vectors = embedded(tokens).numpy().reshape(2, -1)
    jacobian = tgk.jacobian(whole, wrt="layer:embedded")(tokens)
    assert jacobian.shape == (2, 2, 3, 2)
    expected = quotient(lambda z: rest(z.reshape(-1, 3, 2)).numpy(), vectors, np.eye(6), 1e-3)
    np.testing.assert_allclose(np.reshape(jacobian, (2, 2, 6)), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_masked_steps_have_no_derivative(kind):
    def make():
        x = keras.Input((3, 2), dtype="float64")
        return keras.Model(x, getattr(L, kind)(2)(L.Masking()(x)))

    masked = build(make, "float64")
    x = np.random.default_rng(9).uniform(-1, 1, (2, 3, 2))
    x[0, 2] = 0  # the last step of one sample
    jacobian = tgk.jacobian(masked)(x).numpy()
    assert not jacobian[0, :, 2].any()
    assert jacobian[1, :, 2].all()
    # What is left is the same recurrence over two steps.
    np.testing.assert_allclose(jacobian[0, :, :2], tgk.jacobian(_two_steps(masked))(x[:1, :2])[0], atol=1e-14)


def _two_steps(model):
    x = keras.Input((2, 2), dtype="float64")
    return keras.Model(x, model.layers[-1](x))
