"""Functions that were traced before, called, looped over or loaded, have the derivatives of the inline ones."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow.experimental.numpy as tnp
from tensorflow.experimental.numpy import logaddexp as by_name

import tfgradkit as tgk

X, ZEROS = np.array([0.3, -0.2, 0.9]), np.zeros(3)


def moments(x):
    _, variance = tf.nn.moments(x + X, [0])
    return variance * variance


def powers(y):
    """What is smooth in x at 0, where the root y has no derivative."""
    return tf.reduce_sum(y**2 + y**4 + y * y)


# By name: a function, and its Hessian at 0, times the identity.
GRAPHS = {
    "|x|": (lambda x: powers(tf.abs(x)), 4.0),
    "√x²": (lambda x: powers(tf.sqrt(x**2)), 4.0),
    "|x| |x|": (lambda x: tf.reduce_sum(tf.abs(x) * tf.abs(x)), 2.0),
    "|z|²": (lambda x: tf.reduce_sum(tf.abs(tf.complex(x, 2 * x)) ** 2), 10.0),
}
# What only the function that makes the graph knows: a graph that is loaded has the stock formula.
STOCK = {"hypot": (lambda x: tf.reduce_sum(keras.ops.hypot(x, 0.0 * x + 2.0)), 0.5)}
# ∂²(v²) = 2 ∇v ∇vᵀ + 2 v ∇²v, of the variance v.
_D = X - X.mean()
VARIANCE = 2 * np.outer(2 * _D / 3, 2 * _D / 3) + 2 * X.var() * (2 / 3) * (np.eye(3) - 1 / 3)


def called(f):
    return tf.function(f)


def in_a_function(f):
    inner = tf.function(f)
    inner(tf.constant(ZEROS))
    return lambda x: 1.0 * inner(x)


def in_a_branch(f):
    inner = in_a_function(f)
    return lambda x: tf.cond(tf.reduce_sum(x) > -9, lambda: inner(x), lambda: inner(2 * x))


def in_a_loop(f):
    inner = in_a_function(f)
    like = tf.zeros_like(inner(tf.constant(ZEROS)))
    return lambda x: tf.while_loop(lambda i, _: i < 1, lambda i, _: (i + 1, inner(x)), (0, like))[1]


ALL = {"variance": (moments, VARIANCE), **{name: (f, h * np.eye(3)) for name, (f, h) in (GRAPHS | STOCK).items()}}


def assert_right(form, hessian, operators=("hessian", "laplacian")):
    for operator in operators:
        right = hessian if operator == "hessian" else np.trace(hessian)
        found = getattr(tgk, operator)(form, verify="off")(ZEROS)
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_called_before(name):
    f, hessian = ALL[name]
    assert_right(in_a_function(f), hessian)


@pytest.mark.parametrize("form", [called, in_a_branch, in_a_loop])
def test_in_branches_and_loops(form):
    f, hessian = ALL["|x|"]
    assert_right(form(f), hessian, ["hessian"])


def test_first_order():
    f, _ = ALL["|x|"]
    np.testing.assert_array_equal(tgk.linearize(in_a_function(f))(ZEROS)[1].rmatvec(np.ones(())), ZEROS)
    np.testing.assert_array_equal(tgk.gradient(in_a_function(f))(ZEROS), ZEROS)


@pytest.mark.parametrize("name", ["variance", "√x²"])
def test_loaded(name, tmp_path):
    f, hessian = ALL[name]
    module = tf.Module()
    module.f = tf.function(f, input_signature=[tf.TensorSpec([3], tf.float64)])
    tf.saved_model.save(module, tmp_path)
    assert_right(tf.saved_model.load(tmp_path).f, hessian)


@keras.saving.register_keras_serializable("tests")
class Own(keras.layers.Layer):
    """A layer with its own ``tf.function``."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.norm = keras.layers.LayerNormalization()

    @tf.function
    def inner(self, x):
        return self.norm(x)

    def call(self, x):
        return self.inner(x)


def test_a_layer_with_a_function_of_its_own_and_a_model_of_it_loaded(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(5), keras.layers.LayerNormalization(), keras.layers.Dense(1)]
    inline = keras.Sequential([keras.Input((3,)), *layers])
    model = keras.Sequential([keras.Input((3,)), layers[0], Own(), layers[2]])
    x = np.stack([X, X[::-1]]).astype("float32")
    model(x)
    model.predict(x, verbose=0)
    model.export(tmp_path / "m", verbose=False)
    right = tgk.hessian(inline)(x)
    assert np.abs(right).max() > 0.1
    for found in (model, tgk.load(tmp_path / "m")):
        np.testing.assert_allclose(tgk.hessian(found)(x), right, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(tgk.laplacian(found)(x), np.einsum("bii->b", right)[:, None], rtol=1e-3, atol=1e-3)


def test_a_function_keeps_its_own_traces():
    """A derivative traces a twin: what the user calls, and counts, is as it was."""
    f = tf.function(lambda x: tf.nn.moments(x, [0])[1])
    f(tf.constant(X))
    tgk.hessian(f)(X)
    assert f.experimental_get_tracing_count() == 1


def test_a_stop_that_is_no_mean_of_a_variance_stops():
    f = tf.function(lambda x: tf.reduce_sum(x * tf.stop_gradient(tf.reduce_mean(x, keepdims=True))))
    np.testing.assert_allclose(tgk.gradient(lambda x: f(x))(X), np.full(3, X.mean()))


def test_an_identity_of_mixed_types_keeps_slopes():
    """An IdentityN of numbers and indices keeps the slopes of the numbers."""

    def f(x):
        y, _ = tf.raw_ops.IdentityN(input=[x, tf.constant(1)])
        return tf.reduce_sum(y**3)

    np.testing.assert_allclose(tgk.laplacian(f)(X), 6 * X.sum())


def test_a_function_is_exact_by_whatever_name():
    """TensorFlow has its API in several modules; and names of a module of the user's stand for the same functions."""
    numpy = sys.modules["tensorflow.experimental.numpy"]
    assert numpy is not sys.modules["tensorflow._api.v2.experimental.numpy"]
    for logaddexp in (numpy.logaddexp, tf.experimental.numpy.logaddexp):
        assert logaddexp is tnp.logaddexp is by_name
    for f in (
        lambda x: tnp.logaddexp(x, 0.0),
        lambda x: numpy.logaddexp(x, 0.0),
        lambda x: tf.experimental.numpy.logaddexp(x, 0.0),
        lambda x: tf.compat.v2.experimental.numpy.logaddexp(x, 0.0),
        lambda x: by_name(x, 0.0),
    ):
        np.testing.assert_allclose(tgk.jacobian(f)(ZEROS), np.eye(3) / 2)
    assert by_name is tnp.logaddexp


def test_a_name_of_the_main_module_that_is_bound_again(monkeypatch):
    """As in a notebook: as many names as before, and one is another function."""
    main = sys.modules["__main__"]
    derivative = lambda: tgk.gradient(lambda x: tf.reduce_sum(main.chosen(x, tf.zeros_like(x))))([0.0])  # noqa: E731
    monkeypatch.setattr(main, "chosen", tf.maximum, raising=False)
    derivative()
    monkeypatch.setattr(main, "chosen", tnp.logaddexp)
    np.testing.assert_allclose(derivative(), [0.5])
