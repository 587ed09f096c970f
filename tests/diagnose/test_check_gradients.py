"""The checker itself: right functions pass, planted errors, kinks and noise are told apart."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk
from tfgradkit.derivatives.extrapolated_differences import along
from tfgradkit.errors import GradientError, SignatureError

L = keras.layers
X = np.random.default_rng(11).normal(size=(3, 4))
IMAGES = np.random.default_rng(12).normal(size=(2, 5, 5, 1))


@tf.custom_gradient
def one_percent_off(x):
    return tf.sin(x), lambda upstream: 1.01 * upstream * tf.cos(x)


@tf.custom_gradient
def a_term_missing(x):
    return x * tf.sin(x), lambda upstream: upstream * x * tf.cos(x)


@tf.custom_gradient
def right_by_hand(x):
    return tf.sin(x), lambda upstream: upstream * tf.cos(x)


def rosenbrock(z):
    return (1 - z[0]) ** 2 + 100 * (z[1] - z[0] ** 2) ** 2


def oscillator(state, rate=1.0):
    return {"x": state["v"] * rate, "v": -tf.sin(state["x"]) - 0.1 * state["v"]}


def newton_root(x):
    """The square root of x², by an iteration that is written out."""
    root = x
    for _ in range(6):
        root = (root + (x * x + 1) / root) / 2
    return root


RIGHT = {
    "a sine": (tf.sin, X),
    "by hand": (right_by_hand, X),
    "rosenbrock": (rosenbrock, np.array([1.5, 2.0])),
    "a dict": (oscillator, {"x": np.array([0.3, 2.0]), "v": np.array([1.0, -1.0])}),
    "a solve": (lambda x: tf.linalg.solve(tf.matmul(x, x, transpose_b=True) + tf.eye(3, dtype=x.dtype), x), X),
    "large and small numbers": (lambda x: x**3 / 1e6, np.array([1e3, 1e-3, 1.0])),
    "far from a kink": (tf.nn.relu, X),
    "a step": (tf.floor, np.array([0.3, 1.7])),
    "a constant": (lambda x: tf.ones_like(x), X),
    "an iteration": (newton_root, np.array([1.0, 2.5])),
    "a sorted sum": (lambda x: tf.sort(x, -1)[:, 0] ** 2, X),
    "a loop": (lambda x: tf.while_loop(lambda i, _: i < 4, lambda i, y: (i + 1, tf.sin(y)), (0, x))[1], X),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_functions_have_many_digits(name):
    f, x = RIGHT[name]
    check = tgk.check_gradients(f, x, order=2)
    assert check.ok, str(check)
    assert check.digits >= 6
    assert check.max_error <= 1e-6
    assert (check.dtype, check.note) == ("float64", None)
    assert {finding.order for finding in check.findings} == {1, 2}


MODELS = {
    "a dense model": (lambda: build(mlp(4, 2, 8), "float32"), X),
    "half precision": (lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, "gelu", dtype="mixed_float16")]), X),
    "convolutions": (lambda: keras.Sequential([
        keras.Input((5, 5, 1)), L.Conv2D(2, 3, activation="softplus"), L.GroupNormalization(2), L.Flatten(),
        L.Dense(2)]), IMAGES),
    "attention": (lambda: functional_attention(), np.random.default_rng(13).normal(size=(2, 3, 4))),
}  # fmt: skip


def functional_attention():
    x = keras.Input((3, 4))
    return keras.Model(x, L.LayerNormalization()(x + L.MultiHeadAttention(2, 2)(x, x)))


@pytest.mark.parametrize("name", MODELS)
def test_models_are_checked_in_float64(name):
    make, x = MODELS[name]
    model = make()
    check = tgk.check_gradients(model, x, order=2)
    assert check.ok, str(check)
    assert check.dtype == "float64"
    assert check.digits >= 6
    assert model.layers[-1].compute_dtype != "float64"


def test_a_recurrent_model():
    model = keras.Sequential([keras.Input((3, 2)), L.LSTM(2), L.Dense(1)])
    check = tgk.check_gradients(model, np.random.default_rng(14).normal(size=(1, 3, 2)))
    assert check.ok, str(check)


def test_by_the_weights():
    model = build(mlp(4, 2, 3), "float32")
    before = model.get_weights()
    check = tgk.check_gradients(model, X, wrt="parameters")
    assert check.ok, str(check)
    assert len({finding.place for finding in check.findings if finding.method == "differences"}) == 6
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_by_a_layers_result_and_by_several_arguments_with_aux():
    model = build(mlp(4, 2, 3), "float64")
    assert tgk.check_gradients(model, X, wrt=f"layer:{model.layers[0].name}").ok
    check = tgk.check_gradients(lambda a, b, n: (tf.sin(a) * b**n, n), 1.2, 0.7, 3, argnums=(0, 1), has_aux=True)
    assert check.ok, str(check)
    assert {"argument 0", "argument 1"} <= {f.place for f in check.findings}


WRONG = {
    "one percent off": (one_percent_off, 0.01 / 1.01),
    "a term missing": (a_term_missing, None),
    "a stopped gradient": (lambda x: x * tf.stop_gradient(tf.tanh(x)), None),
    "only in one result": (lambda x: (tf.cos(x), one_percent_off(x)), 0.01 / 1.01),
    "in a small part": (lambda x: (1e6 * x, 1e-3 * one_percent_off(x)), 0.01 / 1.01),
}


@pytest.mark.parametrize("name", WRONG)
def test_planted_errors_are_found(name):
    f, error = WRONG[name]
    check = tgk.check_gradients(f, X)
    assert (check.ok, check.status) == (False, "wrong"), str(check)
    assert "custom_gradient" in str(check)
    if error is not None:
        assert check.max_error == pytest.approx(error, rel=1e-6)


def test_an_error_in_a_model_of_float32():
    class Off(L.Layer):
        def call(self, x):
            return one_percent_off(x)

    model = keras.Sequential([keras.Input((4,)), L.Dense(3), Off(), L.Dense(2)])
    check = tgk.check_gradients(model, X)
    assert (check.status, check.dtype) == ("wrong", "float64")
    assert 1.5 < check.digits < 3


def test_a_second_derivative_that_is_wrong_alone():
    @tf.custom_gradient
    def first_is_right(x):
        return tf.sin(x), lambda upstream: upstream * tf.stop_gradient(tf.cos(x))

    assert tgk.check_gradients(first_is_right, X).ok
    check = tgk.check_gradients(first_is_right, X, order=2)
    assert check.status == "wrong"
    assert {finding.order for finding in check.findings if finding.status != "right"} == {2}


def test_a_hessian_that_is_not_symmetric():
    @tf.custom_gradient
    def sum_of_products(x):
        return x[0] * x[1], lambda upstream: upstream * tf.stack([x[1], tf.stop_gradient(x[0])])

    check = tgk.check_gradients(sum_of_products, np.array([1.3, -0.4]), order=2)
    assert {finding.method for finding in check.findings if finding.status == "wrong"} == {"differences", "symmetry"}


@pytest.mark.parametrize(
    ("f", "x"),
    [(tf.nn.relu, np.zeros(3)), (tf.abs, np.zeros(3)), (tf.floor, np.ones(3)), (tf.round, np.full(3, 0.5)),
     (lambda x: tf.maximum(x, x**2), np.ones(2))],
    ids=["relu", "abs", "floor", "round", "maximum"],
)  # fmt: skip
def test_kinks_and_jumps_are_told(f, x):
    check = tgk.check_gradients(f, x)
    assert (check.ok, check.status) == (False, "kink"), str(check)
    assert "another point" in str(check)


@pytest.mark.parametrize(
    "f",
    [lambda x: x + 1e-3 * tf.random.normal(tf.shape(x), dtype=x.dtype),
     lambda x: x + 1e-3 * tf.sin(1e9 * x)],
    ids=["random numbers", "a ripple"],
)  # fmt: skip
def test_noise_is_no_wrong_derivative(f):
    check = tgk.check_gradients(f, X)
    assert (check.ok, check.status) == (False, "noise"), str(check)
    assert "scatter" in str(check)


@pytest.mark.parametrize(("factor", "status"), [(1.0, "right"), (1.01, "wrong")])
def test_single_precision_inside_has_the_error_bars_of_float32(factor, status):
    @tf.custom_gradient
    def sine(x):
        return tf.sin(x), lambda upstream: factor * upstream * tf.cos(x)

    check = tgk.check_gradients(lambda x: tf.cast(sine(tf.cast(x, tf.float32)), tf.float64), X)
    assert (check.status, check.dtype) == (status, "float32"), str(check)
    assert "float32 inside" in check.note


def test_a_function_that_insists_on_float32():
    weights = tf.constant([[0.5, -1.0]], tf.float32)
    check = tgk.check_gradients(lambda x: tf.tanh(x @ weights), np.array([[0.3], [0.7]], np.float32))
    assert check.ok, str(check)
    assert check.dtype == "float32"
    assert "float64" in check.note
    assert 2.5 < check.digits < 7


def test_saved_models_are_checked_in_their_own_dtype(water_saved_model, water):
    x = np.array([[800.0, 100.0]])
    assert tgk.check_gradients(tgk.load(water_saved_model), x).ok
    assert tgk.check_gradients(water, x, order=2).digits >= 6


def test_the_same_check_gives_the_same_answer():
    first, second = (tgk.check_gradients(rosenbrock, [1.5, 2.0]) for _ in range(2))
    assert first == second
    assert str(first).startswith("right: ")


def test_what_it_refuses():
    with pytest.raises(SignatureError, match="no such order"):
        tgk.check_gradients(tf.sin, X, order=3)
    with pytest.raises(SignatureError, match="complex"):
        tgk.check_gradients(tf.sin, X.astype(complex))
    with pytest.raises(GradientError):
        tgk.check_gradients(lambda x: (), X)


@pytest.mark.parametrize(
    ("f", "slope"), [(np.sin, np.cos(0.7)), (np.exp, np.exp(0.7)), (lambda x: 1 / (0.71 - x), 1e4)],
    ids=["sine", "exponential", "a pole nearby"],
)  # fmt: skip
def test_extrapolation_estimates_its_own_error(f, slope):
    """The slope is right within what it says its error is, and that is small."""
    found = along(lambda h: np.asarray(f(0.7 + h)), 2.0**-52)
    assert abs(found.derivative - slope) <= max(2 * found.error, 1e-12 * abs(slope))
    assert found.error < 1e-6 * abs(slope)
    assert not found.kink


def relu_network(seed, factor=1.0):
    """Hundreds of kinks lie within a step of 1/8, some within 1e-5."""
    random = np.random.default_rng(seed)
    weights = [
        tf.constant(random.normal(size=shape) / np.sqrt(shape[0])) for shape in ((200, 400), (400, 400), (400, 1))
    ]

    @tf.custom_gradient
    def scaled(x):
        return tf.identity(x), lambda upstream: factor * upstream

    def network(x):
        for matrix in weights[:-1]:
            x = tf.nn.relu(x @ matrix)
        return scaled(x @ weights[-1])

    return network, random.normal(size=(4, 200))


@pytest.mark.parametrize("seed", range(6))
def test_kinks_beside_the_point_are_no_error_and_hide_none(seed):
    network, x = relu_network(seed)
    found = tgk.check_gradients(network, x)
    assert found.ok, found
    assert found.digits > 7
    network, x = relu_network(seed, 1.001)
    assert tgk.check_gradients(network, x).status == "wrong"
