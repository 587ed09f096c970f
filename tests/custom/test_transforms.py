"""Gradients clipped, reversed, stopped and estimated straight through: by closed forms, in every way of running."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError, SignatureError

L = keras.layers
C = np.array([[3.0, -4.0], [0.3, 0.4]])  # norms 5 and 0.5
X = np.array([[0.5, -1.5], [2.0, 0.0]])
WAYS = {
    "eager": lambda f: f,
    "graph": lambda f: tf.function(f, autograph=False),
    "xla": lambda f: tf.function(f, autograph=False, jit_compile=True),
}
way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def slope(f, x, weights=C):
    """The gradient of Σ weights·f(x), by a tape."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(f(x) * weights)
    return tape.gradient(y, x)


CLIPS = {
    "value": ({"value": 0.35}, np.clip(C, -0.35, 0.35)),
    "norm of all": ({"norm": 1.0}, C / np.linalg.norm(C)),
    "norm of samples": ({"norm": 1.0, "axes": "sample"}, [C[0] / 5, C[1]]),
    "norm along an axis": ({"norm": 1.0, "axes": 0}, C / np.maximum(1, np.linalg.norm(C, axis=0))),
    "norm below": ({"norm": 10.0}, C),
}


@way
@pytest.mark.parametrize(("bound", "expected"), CLIPS.values(), ids=CLIPS)
def test_clipped(way, bound, expected):
    f = way(lambda x: tgk.clip_gradient(x, **bound))
    np.testing.assert_array_equal(f(tf.constant(X)), X)
    np.testing.assert_allclose(way(lambda x: slope(f, x))(tf.constant(X)), expected, rtol=1e-14)


@way
def test_reversed(way):
    f = way(lambda x: tgk.reverse_gradient(x, scale=2.5))
    np.testing.assert_array_equal(f(tf.constant(X)), X)
    np.testing.assert_allclose(way(lambda x: slope(f, x))(tf.constant(X)), -2.5 * C, rtol=1e-14)


SURROGATES = {"identity": np.ones_like(X), "hardtanh": np.abs(X) <= 1, "tanh": 1 / np.cosh(X) ** 2}


@way
@pytest.mark.parametrize("name", SURROGATES)
def test_straight_through(way, name):
    surrogate = tf.tanh if name == "tanh" else name
    f = way(tgk.straight_through("sign", surrogate=surrogate))
    np.testing.assert_array_equal(f(tf.constant(X)), np.sign(X))
    np.testing.assert_allclose(way(lambda x: slope(f, x))(tf.constant(X)), C * SURROGATES[name], rtol=1e-14)


def test_the_value_is_that_of_the_function_to_the_last_bit():
    x = np.random.default_rng(0).normal(size=10_000).astype("float32") * 1e3
    quantize = tgk.straight_through(lambda x: tf.round(x * 7) / 7)
    np.testing.assert_array_equal(quantize(x), tf.round(x * 7) / 7)


def test_of_numbers_arrays_and_variables():
    for x in (1.5, [1.5, 2.0], X, tf.Variable(X)):
        for f in (tgk.stop_gradient, tgk.reverse_gradient, tgk.straight_through("floor")):
            expected = np.floor(x) if isinstance(f, type(tgk.straight_through("floor"))) else x
            np.testing.assert_array_equal(f(x), expected)


def test_forward_mode_is_the_transpose_of_what_is_linear():
    reverse, scaled = tgk.reverse_gradient(tf.sin, scale=3.0), lambda x: tf.sin(x)
    np.testing.assert_allclose(tgk.jvp(reverse)(X, tangents=C), -3 * np.cos(X) * C, rtol=1e-14)
    for mode in ("forward", "reverse"):
        found = tgk.jacobian(reverse, mode=mode)(X)
        np.testing.assert_allclose(found, -3 * tgk.jacobian(scaled)(X), rtol=1e-14, atol=1e-15)
        smooth = tgk.jacobian(tgk.straight_through("round", surrogate=tf.sin), mode=mode)(X)
        np.testing.assert_allclose(smooth, tgk.jacobian(tf.sin)(X), rtol=1e-14, atol=1e-15)
    curved = tgk.hessian(lambda x: tf.reduce_sum(tgk.straight_through("round", surrogate=tf.sin)(x)))(X[0])
    np.testing.assert_allclose(curved, np.diag(-np.sin(X[0])), rtol=1e-14, atol=1e-15)
    assert not np.any(tgk.jvp(lambda x: tgk.stop_gradient(x))(X, tangents=C))


PRODUCTS = {
    "jvp": lambda f: tgk.jvp(f)(X, tangents=C),
    "jacobian, forward": lambda f: tgk.jacobian(f, mode="forward")(X),
    "jacobian, reverse": lambda f: tgk.jacobian(f, mode="reverse")(X),
    "hessian": lambda f: tgk.hessian(lambda x: tf.reduce_sum(f(x) ** 2))(X),
    "hvp": lambda f: tgk.hvp(lambda x: tf.reduce_sum(f(x) ** 2))(X, tangents=C),
    "laplacian": lambda f: tgk.laplacian(lambda x: tf.reduce_sum(f(x) ** 2))(X),
    "linearize": lambda f: tgk.linearize(f)(X),
}


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_clipping_has_no_jacobian(product):
    with pytest.raises(GradientError, match="clip_gradient is not linear") as raised:
        product(tgk.clip_gradient(tf.sin, value=0.1))
    assert "forward it is the identity" in str(raised.value)


def test_clipping_has_single_products_and_second_derivatives_on_tapes():
    f = tgk.clip_gradient(tf.sin, value=0.35)
    np.testing.assert_allclose(tgk.vjp(f)(X, output_gradients=C), np.clip(C, -0.35, 0.35) * np.cos(X), rtol=1e-14)
    total = tgk.gradient(lambda x: tf.reduce_sum(tgk.clip_gradient(x, value=2.5) ** 2))
    np.testing.assert_allclose(total(X), np.clip(2 * X, -2.5, 2.5), rtol=1e-14)
    # The gradient is clip(2x): it grows by 2 where it is not clipped.
    np.testing.assert_array_equal(slope(total, X, 1.0), np.where(np.abs(2 * X) < 2.5, 2.0, 0.0))


def network(middle=None, dtype="float64"):
    keras.utils.set_random_seed(5)
    layers = [L.Dense(5, "tanh", name="first", dtype=dtype), L.Dense(1, name="last", dtype=dtype)]
    layers[1:1] = [middle] if middle else []
    return keras.Sequential([keras.Input((2,), dtype=dtype), *layers])


def by_weights(model):
    found = tgk.gradient(model, wrt="parameters")(X)
    return {w.path.split("/", 1)[1]: g for w, g in zip(model.weights, found, strict=True)}


def test_at_a_layer_of_a_model():
    model = network()
    plain, flipped = by_weights(model), by_weights(tgk.reverse_gradient(model, scale=2.0, at="layer:first"))
    for name, expected in plain.items():
        np.testing.assert_allclose(flipped[name], expected * (-2 if "first" in name else 1), rtol=1e-12)
    stopped = tgk.stop_gradient(model, at="layer:first")
    assert not np.any(tgk.gradient(stopped)(X))
    absent = tgk.gradient(stopped, wrt="parameters", unconnected="none")(X)
    assert [g is None for g in absent] == [True, True, False, False]
    assert all(mine is theirs for mine, theirs in zip(stopped.weights, model.weights, strict=True))
    clipped = tgk.clip_gradient(model, norm=1e-3, at="layer:first")
    u = np.ones((2, 1)) * model.get_weights()[2].T
    expected = tgk.vjp(keras.Sequential(model.layers[:1]))(X, output_gradients=1e-3 * u / np.linalg.norm(u[0]))
    np.testing.assert_allclose(tgk.gradient(clipped)(X), expected, rtol=1e-10)


def test_the_results_of_a_model():
    model = network()
    np.testing.assert_allclose(
        tgk.gradient(tgk.reverse_gradient(model, scale=0.5))(X), -0.5 * tgk.gradient(model)(X), rtol=1e-12
    )
    assert not np.any(tgk.gradient(tgk.stop_gradient(model))(X))


def test_domain_adversarial_training_separates_nothing():
    """The head learns the domain, and the features unlearn it: their gradient is the head's, reversed."""
    x = keras.Input((2,))
    features = L.Dense(3, name="features")(x)
    label = L.Dense(1, name="label")(features)
    domain = L.Dense(1, name="domain")(tgk.reverse_gradient(features, scale=1.0))
    model = keras.Model(x, [label, domain])
    model.compile("sgd", ["mse", "mse"])
    assert np.isfinite(model.fit(X, [X[:, :1], X[:, 1:]], epochs=2, verbose=0).history["loss"]).all()
    with tf.GradientTape(persistent=True) as tape:
        adversary = tf.reduce_sum(model(X)[1])
        friend = tf.reduce_sum(model.get_layer("domain")(model.get_layer("features")(X)))
    kernel = model.get_layer("features").kernel.value
    np.testing.assert_allclose(tape.gradient(adversary, kernel), -tape.gradient(friend, kernel), rtol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
def thirds(x):
    return tf.round(3 * x) / 3


TRANSFORMS = {
    "clip": lambda: tgk.layers.ClipGradient(value=0.1),
    "clip samples": lambda: tgk.layers.ClipGradient(norm=0.1, axes=[1]),
    "reverse": lambda: tgk.layers.ReverseGradient(0.5),
    "stop": lambda: tgk.layers.StopGradient(),
    "straight through": lambda: tgk.layers.StraightThrough(thirds, "hardtanh"),
    "activation": lambda: L.Dense(5, activation=tgk.straight_through("sign", surrogate=keras.ops.tanh)),
    "layer as activation": lambda: L.Activation(tgk.layers.ReverseGradient(2.0)),
}


@pytest.mark.parametrize("make", TRANSFORMS.values(), ids=TRANSFORMS)
def test_layers_are_saved_and_loaded(make, tmp_path):
    model = network(make(), "float32")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(X), model(X))
    by_tape = [slope(m, np.float32(X), np.float32(1.0)) for m in (again, model)]
    np.testing.assert_array_equal(*[np.zeros(()) if g is None else g for g in by_tape])


def test_what_is_not_registered_is_not_saved(tmp_path):
    for fn in (lambda x: x, tf.math.rint):
        model = network(L.Activation(tgk.straight_through("round")))
        model.layers[1].activation = tgk.straight_through(fn)
        with pytest.raises(SignatureError, match="register_keras_serializable"):
            model.save(tmp_path / "model.keras")


ERRORS = {
    "no bound": (lambda: tgk.clip_gradient(X), "norm= or value="),
    "two bounds": (lambda: tgk.clip_gradient(X, norm=1, value=1), "both"),
    "negative bound": (lambda: tgk.clip_gradient(X, norm=-1.0), "not positive"),
    "no such layer": (lambda: tgk.stop_gradient(network(), at="layer:frist"), "try: layer:first"),
    "a layer without the prefix": (lambda: tgk.stop_gradient(network(), at="first"), "try: layer:first"),
    "a layer of a function": (lambda: tgk.stop_gradient(tf.sin, at="layer:first"), "only a Keras model has layers"),
    "no such function": (lambda: tgk.straight_through("rond"), "'round'"),
    "no such surrogate": (lambda: tgk.straight_through("round", surrogate=3), "'hardtanh'"),
    "another shape": (lambda: tgk.straight_through(tf.round, surrogate=tf.reduce_sum)(X), r"float64 \[2, 2\]"),
    "another dtype": (lambda: tgk.straight_through(lambda x: tf.cast(x, tf.int32))(X), "int32"),
}


@pytest.mark.parametrize(("call", "words"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_to_do(call, words):
    with pytest.raises(SignatureError) as raised:
        call()
    raised.match(words)
