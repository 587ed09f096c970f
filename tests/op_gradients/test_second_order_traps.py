"""Where TensorFlow is silently wrong in forward mode and in second order, and what we do there."""

from __future__ import annotations

import keras
import models
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.comparison import relative_error

L = keras.layers
X = np.random.default_rng(0).uniform(-1, 1, (3, 4))


def differences(f, x, h=1e-5):
    return np.stack([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(x.shape[-1])], -1)


@pytest.fixture(scope="module")
def normalised():
    def make():
        return keras.Sequential([keras.Input((4,), dtype="float64"), L.Dense(5), L.LayerNormalization(), L.Dense(1)])

    return models.build(make, "float64")


def test_stock_tensorflow_is_wrong_there(normalised):
    """Why there is a rule at all: if this fails, TensorFlow has mended it, and the rule can go."""
    x = tf.constant(X)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = normalised(x)
        gradient = inner.gradient(y, x)
    stock = outer.batch_jacobian(gradient, x).numpy()
    expected = differences(lambda z: tgk.gradient(normalised)(z).numpy(), X)
    assert relative_error(stock, expected) > 0.1


@pytest.mark.parametrize("wrap", ["the model", "a lambda", "a function", "a tf.function", "a module"])
def test_hessian_through_a_normalisation_layer(normalised, wrap):
    class Module(tf.Module):
        def __call__(self, z):
            return normalised(z)

    def function(z):
        return normalised(z)

    fn = {
        "the model": normalised,
        "a lambda": lambda z: normalised(z),
        "a function": function,
        "a tf.function": tf.function(lambda z: normalised(z)),
        "a module": Module(),
    }[wrap]
    expected = differences(lambda z: tgk.gradient(normalised)(z).numpy(), X)
    assert relative_error(tgk.hessian(fn, batched=True)(X).numpy(), expected) < 1e-8


def test_weight_gradient_of_a_jacobian_through_a_normalisation_layer(normalised):
    derivative = tgk.jacobian(normalised)
    kernel = normalised.layers[0].kernel
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(derivative(X) ** 2)
    got = tape.gradient(loss, kernel.value).numpy()
    before, h = kernel.numpy(), 1e-6
    for index in [(0, 0), (3, 4)]:
        moved = []
        for sign in (1, -1):
            changed = before.copy()
            changed[index] += sign * h
            kernel.assign(changed)
            moved.append(float(tf.reduce_sum(derivative(X) ** 2)))
        kernel.assign(before)
        assert got[index] == pytest.approx((moved[0] - moved[1]) / (2 * h), rel=1e-6)


@pytest.fixture(scope="module")
def resized():
    """More outputs than inputs, so that "auto" would choose forward mode."""

    def make():
        up = L.UpSampling2D(2, interpolation="bilinear")
        return keras.Sequential([keras.Input((2, 2, 1)), up, L.Flatten(), L.Dense(7, "tanh")])

    return models.build(make, "float32")


def test_forward_jacobian_through_a_bilinear_resize(resized):
    x = np.random.default_rng(1).uniform(-1, 1, (2, 2, 2, 1)).astype(np.float32)
    jacobian = tgk.jacobian(resized)(x).numpy()
    h = 0.03  # large, since resizing computes in float32; the formula is exact to h**4
    columns = []
    for index in np.ndindex(2, 2, 1):
        step = np.zeros((2, 2, 1), np.float32)
        step[index] = h
        near = resized(x + step).numpy() - resized(x - step).numpy()
        far = resized(x + 2 * step).numpy() - resized(x - 2 * step).numpy()
        columns.append((8 * near - far) / (12 * h))
    expected = np.stack(columns, -1).reshape(2, 7, 2, 2, 1)
    np.testing.assert_allclose(jacobian, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(jacobian, tgk.jacobian(resized, mode="reverse")(x), rtol=1e-5, atol=1e-6)
    assert tgk.jacobian(resized).plan.mode == "forward"


def test_an_op_without_its_first_gradient_is_an_error_even_inside_a_function():
    @tf.function
    def f(x):
        return tf.raw_ops.HSVToRGB(images=x) + x

    with pytest.raises(tgk.errors.GradientError, match="HSVToRGB"):
        tgk.jacobian(f)(np.full((2, 2, 3), 0.5))


def test_python_numbers_keep_their_digits():
    model = models.build(models.mlp(2, 2, 4), "float64")
    x, u = [[0.1, 0.3]], [[0.7, 0.9]]
    exact = tgk.value_and_jvp(model)(np.array(x), tangents=np.array(u))
    listed = tgk.value_and_jvp(model)(x, tangents=u)
    assert all(np.array_equal(a, b) for a, b in zip(exact, listed, strict=True))
    assert np.array_equal(
        tgk.vjp(model)(x, output_gradients=u), tgk.vjp(model)(np.array(x), output_gradients=np.array(u))
    )


def test_eigenvalues_of_a_tridiagonal_matrix_are_those_of_the_whole():
    """TensorFlow bisects, and has a tape go through the bisection."""
    a, b = tf.constant([0.3, -0.7, 1.2], tf.float64), tf.constant([0.5, 0.8], tf.float64)

    def whole(a, b):
        return tf.linalg.eigvalsh(tf.linalg.diag(a) + tf.linalg.diag(b, k=1) + tf.linalg.diag(b, k=-1))

    for select in ({}, {"select": "i", "select_range": (1, 2)}):
        found = tgk.jacobian(lambda a, b, kw=select: tf.linalg.eigh_tridiagonal(a, b, **kw), argnums=(0, 1))(a, b)
        expected = tgk.jacobian(whole, argnums=(0, 1))(a, b)
        for block, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(block, right[1 if select else 0 :], rtol=1e-12)
    with pytest.raises(tgk.errors.GradientError, match="bisection"):
        tgk.jacobian(lambda a: tf.linalg.eigh_tridiagonal(a, b, select="v", select_range=(-9.0, 9.0)))(a)
