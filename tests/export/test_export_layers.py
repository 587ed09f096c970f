"""C libraries of layers and functions with loops, branches, convolutions, transforms and linear algebra.

Each is compared with the operator, value and Jacobian, for one point, for a tile, and for what is left of one. A few
run in ``scripts/test``; ``TFGRADKIT_SWEEP=1`` (``scripts/sweep``) runs all.
"""

from __future__ import annotations

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import UnsupportedModelError
from tfgradkit.export.native.library.packed_weights import pack_weights

SWEEP = bool(os.environ.get("TFGRADKIT_SWEEP"))
L = keras.layers


def head(shape, *layers):
    """A Functional model that ends in two numbers."""
    x = y = keras.Input(shape)
    for layer in layers:
        y = layer(y)
    return keras.Model(x, L.Dense(2)(y if len(y.shape) == 2 else L.Flatten()(y)))


def attention():
    x = keras.Input((5, 4))
    y = L.LayerNormalization()(x + L.MultiHeadAttention(2, 3)(x, x))
    return keras.Model(x, L.Dense(2)(L.Flatten()(y)))


RECURRENT = {
    "LSTM": lambda: head((4, 3), L.LSTM(5)),
    "GRU": lambda: head((4, 3), L.GRU(5)),
    "SimpleRNN, all steps": lambda: head((4, 3), L.SimpleRNN(5, return_sequences=True)),
    "Bidirectional": lambda: head((4, 3), L.Bidirectional(L.LSTM(3))),
    "stacked, backwards": lambda: head((4, 3), L.GRU(3, return_sequences=True, go_backwards=True), L.LSTM(3)),
    "masked": lambda: head((4, 3), L.Masking(), L.LSTM(3)),
    "ConvLSTM2D": lambda: head((2, 4, 4, 2), L.ConvLSTM2D(2, 2)),
    "TimeDistributed": lambda: head((3, 4), L.TimeDistributed(L.Dense(3, "tanh"))),
}
CONVOLUTIONS = {
    "Conv2D": lambda: head((6, 6, 2), L.Conv2D(3, 3, padding="same", activation="tanh"), L.MaxPooling2D()),
    "Conv1D": lambda: head((7, 2), L.Conv1D(3, 3, strides=2, activation="tanh")),
    "causal": lambda: head((7, 2), L.Conv1D(3, 3, padding="causal", dilation_rate=2, activation="tanh")),
    "Conv3D": lambda: head((4, 4, 4, 2), L.Conv3D(3, (2, 3, 2), strides=(2, 1, 1), activation="tanh")),
    "groups": lambda: head((5, 5, 4), L.Conv2D(8, 3, groups=2, activation="tanh")),
    "dilated": lambda: head((6, 6, 2), L.Conv2D(3, 2, dilation_rate=2, activation="tanh")),
    "depthwise": lambda: head((5, 5, 3), L.DepthwiseConv2D(3, activation="tanh")),
    "separable": lambda: head((5, 5, 3), L.SeparableConv2D(4, 3, activation="tanh")),
    "transposed": lambda: head((3, 3, 2), L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="tanh")),
    "transposed, three axes": lambda: head((2, 2, 2, 2), L.Conv3DTranspose(2, 2, strides=2, activation="tanh")),
    "pooled, cropped, padded": lambda: head(
        (6, 6, 2), L.ZeroPadding2D(), L.Cropping2D(((1, 0), (0, 1))), L.AveragePooling2D(2), L.GlobalMaxPooling2D()
    ),
    "resized": lambda: head((3, 3, 2), L.UpSampling2D(interpolation="bilinear"), L.Conv2D(2, 2, activation="tanh")),
}
OTHERS = {
    "attention": attention,
    "normalised": lambda: head((4, 4, 4), L.GroupNormalization(2), L.BatchNormalization(), L.UnitNormalization()),
}


def matrix(x):
    return tf.reshape(x, [3, 3]) + 4 * tf.eye(3, dtype=x.dtype)


def symmetric(x):
    return matrix(x) + tf.transpose(matrix(x)) + tf.linalg.diag(tf.constant([0.0, 5, 9], x.dtype))


def flat(y):
    return tf.reshape(y, [-1])


FUNCTIONS = {
    "cond": lambda x: tf.cond(x[0] > 0, lambda: tf.sin(x), lambda: x**2),
    "switch_case": lambda x: tf.switch_case(
        tf.cast(x[0] * 2, tf.int32), [lambda: tf.sin(x), lambda: x**2, lambda: 3 * x]
    ),
    "map_fn": lambda x: tf.map_fn(lambda row: tf.sin(row) * row, x),
    "scan": lambda x: tf.scan(lambda a, b: tf.tanh(a) + b, x),
    "while_loop": lambda x: tf.while_loop(
        lambda i, y: i < 5, lambda i, y: (i + 1, tf.sin(y) + y), (0, x), maximum_iterations=5
    )[1],
    "loop by value": lambda x: tf.while_loop(
        lambda y: tf.reduce_sum(y) < 100, lambda y: (y * y + 2,), (x,), maximum_iterations=9
    )[0],
    "solve": lambda x: tf.linalg.solve(matrix(x), tf.ones([3, 1], x.dtype))[:, 0],
    "triangular_solve": lambda x: tf.linalg.triangular_solve(matrix(x), tf.ones([3, 1], x.dtype))[:, 0],
    "cholesky": lambda x: flat(tf.linalg.cholesky(matrix(x) @ tf.transpose(matrix(x)))),
    "inv": lambda x: flat(tf.linalg.inv(matrix(x))),
    "det": lambda x: tf.linalg.det(tf.reshape(x, [3, 3])),
    "slogdet": lambda x: tf.linalg.slogdet(tf.reshape(x, [3, 3]))[1],
    "eigvalsh": lambda x: tf.linalg.eigvalsh(symmetric(x)),
    "eigh": lambda x: flat(tf.abs(tf.linalg.eigh(symmetric(x))[1])),
    "qr": lambda x: flat(tf.linalg.qr(matrix(x))[1]),
    "svd": lambda x: tf.linalg.svd(matrix(x), compute_uv=False),
    "expm": lambda x: flat(tf.linalg.expm(matrix(x) / 9)),
    "sort": lambda x: tf.sort(x),
    "top_k": lambda x: tf.math.top_k(x, 3)[0],
    "cumsum": lambda x: tf.cumsum(x, reverse=True, exclusive=True),
    "gather": lambda x: tf.gather(x, [0, 3, 3, 1]) * x[0],
    "scatter": lambda x: tf.tensor_scatter_nd_update(x, [[1], [4]], x[:2] ** 2),
    "segments": lambda x: tf.math.unsorted_segment_sum(x, [0, 0, 1, 1, 1, 2, 2, 2, 2], 3),
    "rfft": lambda x: tf.abs(tf.signal.rfft(x)),
    "irfft": lambda x: tf.signal.irfft(tf.signal.rfft(x, [12]) * tf.complex(x[:7], x[1:8]), [10]),
    "fft2d": lambda x: flat(tf.math.real(tf.signal.ifft2d(tf.signal.fft2d(tf.cast(matrix(x), tf.complex128)) ** 2))),
    "dct": lambda x: tf.signal.dct(x),
    "fft in a loop": lambda x: tf.map_fn(
        lambda row: tf.abs(tf.signal.rfft(row * x)), x, fn_output_signature=tf.TensorSpec([5], x.dtype)
    ),
}
MODELS = RECURRENT | CONVOLUTIONS | OTHERS
# One of each kind of step in the engine, and one of each kind of substitute.
CHOSEN = {"LSTM", "Conv2D", "groups", "transposed", "attention"}
CHOSEN_FUNCTIONS = {"cond", "loop by value", "det", "eigvalsh", "irfft", "top_k"}


def agrees(library, derivative, x, tolerance):
    """All points at once, and one of them alone, against the operator."""
    y, jacobian = (part.numpy() for part in derivative(x))
    scale = np.abs(jacobian).max()
    for points in (x, x[:1]):
        got_y, got = library.value_and_jacobian(points)
        np.testing.assert_allclose(got_y, y[: len(points)], rtol=tolerance, atol=tolerance * np.abs(y).max())
        np.testing.assert_allclose(got, jacobian[: len(points)], rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", [name for name in MODELS if SWEEP or name in CHOSEN])
def test_a_model(name, tmp_path):
    keras.utils.set_random_seed(1)
    model = MODELS[name]()
    x = np.random.default_rng(2).standard_normal((11, *model.input_shape[1:])).astype(np.float32)
    library = tgk.export_native(model, tmp_path / "out", "layered", tile=4)
    agrees(library, tgk.value_and_jacobian(model), x, 2e-5)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if SWEEP or name in CHOSEN_FUNCTIONS])
def test_a_function_of_one_sample(name, tmp_path):
    function = FUNCTIONS[name]
    x = np.random.default_rng(3).standard_normal((7, 9))
    library = tgk.export_native(function, tmp_path / "out", "sampled", input_specs=tf.TensorSpec([9], tf.float64))
    one = tgk.value_and_jacobian(function)
    agrees(library, lambda xs: [tf.stack(part) for part in zip(*map(one, xs), strict=True)], tf.constant(x), 1e-10)


def test_second_derivatives_through_a_loop(tmp_path):
    keras.utils.set_random_seed(1)
    model = head((3, 2), L.GRU(3))
    x = np.random.default_rng(2).standard_normal((5, 3, 2)).astype(np.float32)
    library = tgk.export_native(model, tmp_path / "out", "curved", ["hessian"], tile=2)
    expected = tgk.hessian(model)(x).numpy()
    np.testing.assert_allclose(library.hessian(x), expected, rtol=0, atol=3e-5 * np.abs(expected).max())


def test_a_large_weight_is_stored_once_for_products_from_both_sides(tmp_path):
    """Reverse mode multiplies by the transpose, and reads the block that the value's product reads."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((64,)), L.Dense(256, "tanh"), L.Dense(256, "tanh"), L.Dense(3)])
    library = tgk.export_native(model, tmp_path / "out", "wide", ["jacobian", "vjp"], targets=["host"], tile=8)
    content = (tmp_path / "out" / "lib" / "libwide.so").read_bytes()
    weight = model.layers[1].kernel.numpy()
    # The panels of the one, and of the other.
    assert [content.count(panel.tobytes()) for panel in pack_weights(weight)] == [1] * 8
    assert [content.count(panel.tobytes()) for panel in pack_weights(weight.T)] == [0] * 8
    x = np.random.default_rng(2).standard_normal((21, 64)).astype(np.float32)
    agrees(library, tgk.value_and_jacobian(model), x, 2e-5)
    u = np.random.default_rng(3).standard_normal((21, 3)).astype(np.float32)
    expected = np.einsum("bi,bij->bj", u, tgk.jacobian(model)(x).numpy())
    for points in (x, x[:1]):
        got = library.vjp(points, u[: len(points)])
        np.testing.assert_allclose(got, expected[: len(points)], rtol=0, atol=2e-5 * np.abs(expected).max())


def test_a_loop_of_no_known_length_is_told(tmp_path):
    def looped(x):
        return tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.sin(y) + y), (0, x))[1]

    with pytest.raises(UnsupportedModelError, match="maximum_iterations"):
        tgk.export_native(looped, tmp_path / "out", "endless", input_specs=tf.TensorSpec([3], tf.float64))
    assert list(tmp_path.iterdir()) == []
