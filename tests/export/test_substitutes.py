"""Ops written anew for the C library give what the ops give: run by XLA, against TensorFlow's own kernels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfgradkit.export.native.compile.substitute_ops import SUBSTITUTES
from tfgradkit.export.native.compile.substitutes import substituted
from tfgradkit.graph.grappler import frozen
from tfgradkit.graph.ops import op_types


def both(function, *arrays):
    """The results of ``function`` by TensorFlow, and of its graph with substitutes, compiled by XLA."""
    specs = [tf.TensorSpec(array.shape, array.dtype) for array in arrays]
    plain = tf.function(function, autograph=False).get_concrete_function(*specs)
    written = substituted(frozen(plain, lower_control_flow=False))
    assert not op_types(plain.graph).isdisjoint(SUBSTITUTES), "there is nothing to substitute"
    left = op_types(written.graph) & set(SUBSTITUTES) - {"SelfAdjointEigV2"}  # which is refined
    assert not left
    constants = [tf.constant(array) for array in arrays]
    run = tf.function(lambda *given: tf.nest.flatten(written(*given)), autograph=False, jit_compile=True)
    return tf.nest.flatten(plain(*constants)), run(*constants)


def same(function, *arrays, tolerance=1e-12):
    expected, got = both(function, *arrays)
    for one, other in zip(expected, got, strict=True):
        scale = max(1.0, float(np.abs(one.numpy()).max()))
        np.testing.assert_allclose(other.numpy(), one.numpy(), rtol=0, atol=tolerance * scale)


def numbers(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def waves(*shape):
    return numbers(*shape) + 1j * numbers(*shape, seed=1)


FOURIER = {
    "fft": (tf.signal.fft, waves(2, 5)),
    "ifft": (tf.signal.ifft, waves(2, 6)),
    "fft2d": (tf.signal.fft2d, waves(2, 3, 4)),
    "ifft2d": (tf.signal.ifft2d, waves(3, 5)),
    "fft3d": (tf.signal.fft3d, waves(2, 3, 4)),
    "ifft3d": (tf.signal.ifft3d, waves(2, 3, 2)),
    "rfft, odd": (tf.signal.rfft, numbers(3, 7)),
    "rfft, even": (tf.signal.rfft, numbers(3, 8)),
    "rfft, filled with zeros": (lambda x: tf.signal.rfft(x, [9]), numbers(2, 4)),
    "rfft, cut": (lambda x: tf.signal.rfft(x, [4]), numbers(2, 9)),
    "rfft, one number": (tf.signal.rfft, numbers(3, 1)),
    "rfft2d": (tf.signal.rfft2d, numbers(2, 4, 5)),
    "rfft3d, cut": (lambda x: tf.signal.rfft3d(x, [2, 5, 4]), numbers(3, 4, 5)),
    "irfft, even": (tf.signal.irfft, waves(3, 5)),
    "irfft, odd": (lambda x: tf.signal.irfft(x, [7]), waves(3, 5)),
    "irfft, filled with zeros": (lambda x: tf.signal.irfft(x, [12]), waves(3, 5)),
    "irfft2d": (tf.signal.irfft2d, waves(2, 4, 4)),
    "irfft3d": (lambda x: tf.signal.irfft3d(x, [3, 2, 5]), waves(3, 3, 4)),
}


@pytest.mark.parametrize("name", FOURIER)
def test_fourier_transforms(name):
    function, x = FOURIER[name]
    same(function, x)


def test_fourier_transforms_of_single_precision():
    same(tf.signal.rfft, numbers(2, 8, dtype=np.float32), tolerance=1e-6)


CONVOLUTIONS = {
    "plain": {"strides": 1, "padding": "VALID"},
    "same": {"strides": 1, "padding": "SAME"},
    "strides": {"strides": (2, 1, 2), "padding": "SAME"},
    "strides, valid": {"strides": (2, 2, 1), "padding": "VALID"},
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_over_three_axes(name):
    options = CONVOLUTIONS[name]
    steps = options["strides"] if isinstance(options["strides"], tuple) else (options["strides"],) * 3
    x, kernel = numbers(2, 5, 4, 6, 2), numbers(3, 2, 2, 2, 3, seed=1)

    def through(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.nn.conv3d(x, kernel, [1, *steps, 1], options["padding"])
            total = tf.reduce_sum(tf.sin(y))
        return y, *tape.gradient(total, [x, kernel])

    same(through, x, kernel)


def test_determinants():
    x = numbers(4, 3, 3)
    x[1, 0] = x[1, 1]  # singular
    x[2] = np.eye(3)[[1, 0, 2]]  # a permutation, whose first pivot is 0
    x[3] = 0
    same(tf.linalg.det, x)
    sign, logarithm = both(tf.linalg.slogdet, x[[0, 2]])[1]
    expected = np.linalg.slogdet(x[[0, 2]])
    np.testing.assert_allclose(sign, expected[0])
    np.testing.assert_allclose(logarithm, expected[1], atol=1e-14)


def test_determinants_of_one_number_and_of_many():
    same(tf.linalg.det, numbers(2, 1, 1))
    same(tf.linalg.det, numbers(2, 12, 12), tolerance=1e-11)


@pytest.mark.parametrize("equal", [False, True], ids=["apart", "equal eigenvalues"])
def test_eigenvalues(equal):
    """To the last digits, where XLA stops at nine."""
    q, _ = np.linalg.qr(numbers(2, 5, 5))
    wanted = np.array([1, 1, 2, 3, 3] if equal else [-4, 0, 0.5, 2, 7.0])
    x = (q * wanted) @ np.swapaxes(q, 1, 2)
    values, vectors = both(tf.linalg.eigh, x)[1]
    np.testing.assert_allclose(values, np.broadcast_to(wanted, values.shape), atol=1e-13)
    v = vectors.numpy()
    np.testing.assert_allclose(x @ v, v * values.numpy()[:, None], atol=1e-12)
    np.testing.assert_allclose(np.swapaxes(v, 1, 2) @ v, np.broadcast_to(np.eye(5), v.shape), atol=1e-12)
    np.testing.assert_allclose(both(tf.linalg.eigvalsh, x)[1][0], values, atol=1e-13)


@pytest.mark.parametrize("shape", [(2, 4, 4), (3, 5, 2), (2, 3, 5)], ids=str)
def test_singular_values(shape):
    x = numbers(*shape)
    same(lambda x: tf.linalg.svd(x, compute_uv=False), x)
    values, left, right = both(tf.linalg.svd, x)[1]
    again = (left.numpy() * values.numpy()[..., None, :]) @ np.swapaxes(right.numpy(), -1, -2)
    np.testing.assert_allclose(again, x, atol=1e-12)


def test_inside_branches_and_loops():
    def function(x):
        y = tf.cond(x[0, 0] > 0, lambda: tf.math.real(tf.signal.rfft(x)), lambda: x[:, :3])
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y + tf.abs(tf.signal.rfft(x))), (0, y))[1]

    for x in (np.abs(numbers(2, 4)), -np.abs(numbers(2, 4))):
        same(function, x)


def test_a_graph_without_them_is_left_alone():
    concrete = tf.function(tf.sin, autograph=False).get_concrete_function(tf.TensorSpec([3]))
    plain = frozen(concrete, lower_control_flow=False)
    assert substituted(plain) is plain
