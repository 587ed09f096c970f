"""Checkpoints: the same values and derivatives of every order as without, and twice the evaluations."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError, SignatureError

L = keras.layers
W = tf.Variable(np.random.default_rng(0).normal(size=(3, 3)))
C = tf.constant(np.random.default_rng(1).normal(size=3))
X = np.array([0.3, -0.7, 1.1])


def chain(x):
    for _ in range(2):
        x = tf.tanh(tf.linalg.matvec(W, x) + C)
    return x


def total(f):
    return lambda x: tf.reduce_sum(f(x) ** 2)


DERIVATIVES = {
    "jacobian, forward": lambda f, **k: tgk.jacobian(f, mode="forward", **k)(X),
    "jacobian, reverse": lambda f, **k: tgk.jacobian(f, mode="reverse", **k)(X),
    "jvp": lambda f, **k: tgk.jvp(f, **k)(X, tangents=X),
    "hessian": lambda f, **k: tgk.hessian(total(f), **k)(X),
    "hvp": lambda f, **k: tgk.hvp(total(f), **k)(X, tangents=X),
    "by a variable": lambda f, **k: tgk.gradient(total(f), wrt=[W], **k)(X)[0],
}


@pytest.mark.parametrize(
    ("name", "compiled"),
    [*((name, False) for name in DERIVATIVES), ("jvp", True), ("hvp", True), ("by a variable", True)],
)
def test_derivatives_are_the_same(name, compiled):
    found, expected = (DERIVATIVES[name](f, jit_compile=compiled) for f in (tgk.checkpoint(chain), chain))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_tapes_in_tapes():
    def slopes(f):
        x = tf.constant(X)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch([x, C])
                y = total(f)(x)
            first = tape.gradient(y, [x, W, C])
            curved = tf.reduce_sum(first[0] ** 2) + tf.reduce_sum(first[1] ** 2)
        return [*first, *outer.gradient(curved, [x, W])]

    for found, expected in zip(slopes(tgk.checkpoint(chain)), slopes(chain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_it_closes_over_has_a_gradient():
    """tf.custom_gradient alone gives None, and nobody is told."""

    @tf.function
    def slope(x):
        k = 2 * x
        with tf.GradientTape() as tape:
            tape.watch(k)
            y = tgk.checkpoint(lambda z: tf.sin(z * k))(x)
        return tape.gradient(y, k)

    np.testing.assert_allclose(slope(tf.constant(X)), X * np.cos(2 * X**2), rtol=1e-12)


def test_nests_integers_and_gathers():
    def f(inputs, count):
        picked = tf.gather(inputs["table"], inputs["rows"])
        return {"sum": tf.reduce_sum(picked**2, 1), "count": tf.shape(picked)[0] * count}

    given = {"table": tf.constant(np.arange(6.0).reshape(3, 2)), "rows": tf.constant([2, 0, 2])}

    def slope(f):
        with tf.GradientTape() as tape:
            tape.watch(given["table"])
            y = f(given, 2)
        return y, tf.convert_to_tensor(tape.gradient(y["sum"], given["table"]))

    (found, slopes), (expected, wanted) = slope(tgk.checkpoint(f)), slope(f)
    tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    np.testing.assert_array_equal(slopes, wanted)


def times(f, op, **keywords):
    """How often ``op`` is in the compiled gradient."""

    @tf.function(jit_compile=True, autograph=False)
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(f(f(x)))
        return tape.gradient(y, x)

    text = slope.experimental_get_compiler_ir(tf.constant(X))(stage="optimized_hlo")
    return len(re.findall(rf" {op}\(", text))


def test_no_compiler_undoes_it():
    assert times(chain, "tanh") == 4
    assert times(tgk.checkpoint(chain), "tanh") > 4


def block(dtype="float32"):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((4,), dtype=dtype),
            L.Dense(8, "tanh", dtype=dtype),
            L.Dropout(0.5, seed=1, dtype=dtype),
            L.BatchNormalization(dtype=dtype),
            L.Dense(4, dtype=dtype),
        ],
        name="block",
    )


B = np.random.default_rng(4).normal(size=(16, 4)).astype("float32")


def test_random_numbers_and_moving_averages_are_as_without():
    plain, inside = block("float64"), block("float64")
    checkpointed = tgk.checkpoint(inside)
    x = tf.constant(B, tf.float64)

    def run(model, weights):
        found = []
        for _ in range(2):  # the state goes on from call to call
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(model(x, training=True) ** 2)
            found += [y, *tape.gradient(y, [x, *(w.value for w in weights)])]
        return found

    def again():
        return run(checkpointed, inside.trainable_weights)

    expected = run(plain, plain.trainable_weights)
    for way in (lambda f: f, tf.function):
        for mine, theirs in zip(inside.variables, block("float64").variables, strict=True):
            mine.assign(theirs)
        for mine, theirs in zip(way(again)(), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
        for mine, theirs in zip(inside.variables, plain.variables, strict=True):
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-12)


def chained(wrap):
    """A model in which a block comes twice."""
    inside = block()
    repeated = wrap(inside)
    x = keras.Input((4,))
    return keras.Model(x, L.Dense(1, kernel_initializer="ones")(repeated(repeated(x))))


def test_a_model_of_checkpoints_trains_compiled_and_is_saved(tmp_path):
    model = chained(tgk.checkpoint)
    before = [w.numpy() for w in model.trainable_weights]
    assert len(before) == 8
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(B, B[:, :1], verbose=0)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert np.isfinite(weight.numpy()).all()
        assert not np.array_equal(weight.numpy(), old)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(B), model(B))
    assert [w.shape for w in again.trainable_weights] == [w.shape for w in model.trainable_weights]
    plain = model.layers[1].layer
    x = keras.Input((4,))
    whole = keras.Model(x, model.layers[-1](plain(plain(x))))
    np.testing.assert_allclose(tgk.hvp(model)(B, tangents=B), tgk.hvp(whole)(B, tangents=B), rtol=1e-4, atol=1e-5)


def test_masks_reach_the_layer_inside():
    keras.utils.set_random_seed(2)
    recurrent = L.SimpleRNN(3)
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    embedded = L.Embedding(5, 2, mask_zero=True)(ids)
    np.testing.assert_allclose(tgk.checkpoint(recurrent)(embedded), recurrent(embedded), rtol=1e-6)
    without = recurrent(tf.convert_to_tensor(embedded.numpy()))
    assert not np.allclose(recurrent(embedded), without)


def test_an_override_reaches_into_a_checkpoint():
    inner = keras.Sequential([keras.Input((3,)), L.Dense(3, "relu", name="inside")])
    model = keras.Sequential([keras.Input((3,)), tgk.checkpoint(inner), L.Dense(1)])
    x = B[:, :3]
    other = tgk.override_gradient(model, {"layer:inside": lambda op, u: 3 * op.vjp(u)[0]})
    np.testing.assert_allclose(tgk.gradient(other)(x), 3 * tgk.gradient(model)(x), rtol=1e-5)


counter = tf.Variable(0.0)


def counting(x):
    counter.assign_add(1.0)
    return x


ERRORS = {
    "random numbers": (lambda: tgk.checkpoint(lambda x: x * tf.random.uniform([3], dtype=tf.float64)), "RandomUniform"),
    "an assignment": (lambda: tgk.checkpoint(counting), "counting, op AssignAddVariableOp"),
    "a loss": (lambda: tgk.checkpoint(L.Dense(2, activity_regularizer="l2")), "adds a loss"),
}


@pytest.mark.parametrize(("make", "words"), ERRORS.values(), ids=ERRORS)
def test_what_can_not_be_done_twice(make, words):
    fn = make()
    with pytest.raises(GradientError) as raised:
        fn(B[:, :3] if isinstance(fn, L.Layer) else tf.constant(X))
    raised.match(words)


def test_only_keras_3_has_layers_here():
    class Layer:
        """As tf_keras has them."""

        name = "foreign"

    Layer.__module__ = "tf_keras.layers"
    with pytest.raises(SignatureError, match="Keras 3"):
        tgk.checkpoint(Layer())
