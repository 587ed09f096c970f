"""Several arguments and keywords of a model, None as an empty branch, losses without arguments."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import SignatureError

X, T = np.array([[1.0, 2.0], [3.0, 4.0]], "float32"), np.array([[2.0], [3.0]], "float32")
A = np.array([1.0, 2.0])


class Scaled(keras.Model):
    def call(self, x, t=None, *, power=2.0):
        y = x**power
        return y if t is None else y * t


class Starred(keras.Model):
    def call(self, *xs):
        return xs[0] * xs[1]


def rows(values):
    return np.einsum("bi,ij->bij", values, np.eye(2))


@pytest.mark.parametrize("built", [False, True])
def test_a_subclassed_model_takes_what_its_call_takes(built):
    model = Scaled()
    if built:
        model(X, T)
    slope = tgk.jacobian(model)
    np.testing.assert_allclose(slope(X, T), rows(2 * X * T), rtol=1e-5)
    np.testing.assert_allclose(slope(X, None), rows(2 * X), rtol=1e-5)
    np.testing.assert_allclose(slope(X), rows(2 * X), rtol=1e-5)
    np.testing.assert_allclose(slope(X, t=T), rows(2 * X * T), rtol=1e-5)
    np.testing.assert_allclose(slope(X, T, power=3.0), rows(3 * X**2 * T), rtol=1e-5)
    by_x, by_t = tgk.jacobian(model, argnums=(0, 1))(X, T)
    np.testing.assert_allclose(by_x, rows(2 * X * T), rtol=1e-5)
    np.testing.assert_allclose(by_t, (X**2)[:, :, None], rtol=1e-5)
    np.testing.assert_allclose(tgk.jvp(model)(X, t=T, tangents=X), 2 * X**2 * T, rtol=1e-5)
    _, linear = tgk.linearize(model)(X, t=T)
    np.testing.assert_allclose(linear.matvec(tf.constant(X)), 2 * X**2 * T, rtol=1e-5)
    np.testing.assert_allclose(tgk.jacobian(Starred())(X, T), rows(np.repeat(T, 2, 1)), rtol=1e-5)


def test_keywords_of_a_function():
    def f(x, scale=1.0, *, shift=0.0):
        return scale * x**2 + shift

    np.testing.assert_allclose(tgk.jacobian(f)(A, scale=3.0, shift=1.0), np.diag(6 * A))
    with pytest.raises(SignatureError, match="does not take these arguments"):
        tgk.jacobian(f)(A, scael=3.0)


def test_none_is_an_empty_branch():
    def f(d):
        assert d["b"] is None
        assert d["c"][1] is None
        return tf.reduce_sum(d["a"] ** 2 * d["c"][0])

    point = {"a": A, "b": None, "c": [3.0 * A, None]}
    slope = tgk.gradient(f)(point)
    assert slope["b"] is slope["c"][1] is None
    np.testing.assert_allclose(slope["a"], 6 * A**2)
    bend = tgk.hessian(f)(point)
    assert bend["a"]["b"] is bend["b"] is None
    np.testing.assert_allclose(bend["a"]["c"][0], np.diag(2 * A))
    product = tgk.hvp(f)(point, tangents=point)
    np.testing.assert_allclose(product["a"], 6 * A**2 + 6 * A**2)
    y, linear = tgk.linearize(f)(point)
    np.testing.assert_allclose(
        linear.matvec(tf.nest.map_structure(lambda x: x if x is None else tf.constant(x), point)), 3 * y
    )
    with pytest.raises(SignatureError):
        tgk.gradient(lambda x: x)(None)


def test_a_loss_without_arguments():
    v = tf.Variable(A)
    loss = lambda: tf.reduce_sum(v**3)  # noqa: E731
    np.testing.assert_allclose(tgk.gradient(loss, wrt=[v])()[0], 3 * A**2)
    np.testing.assert_allclose(tgk.hessian(loss, wrt=v)(), np.diag(6 * A))
    np.testing.assert_allclose(tgk.hessian(loss, wrt=[v])()[0][0], np.diag(6 * A))
    np.testing.assert_allclose(tgk.hvp(loss, wrt=[v])(tangents=[A])[0], 6 * A**2)
    np.testing.assert_allclose(tgk.jacobian(lambda: v**2, wrt=v)(), np.diag(2 * A))
    assert tgk.hessian(loss, wrt=v).plan.passes
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    training = lambda: tf.reduce_mean((model(X) - T) ** 2)  # noqa: E731
    found = tgk.gradient(training, wrt=model.trainable_variables)()
    assert [g.shape for g in found] == [(2, 1), (1,)]
    v.assign(2 * A)
    np.testing.assert_allclose(tgk.gradient(loss, wrt=[v])()[0], 12 * A**2)
    with pytest.raises(SignatureError, match="no argument"):
        tgk.gradient(loss)()
