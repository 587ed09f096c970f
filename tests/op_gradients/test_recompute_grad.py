"""``tf.recompute_grad`` in what is differentiated: the same as the function without it, to any order."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError

W = tf.Variable(np.random.default_rng(0).normal(size=(3, 3)))
X = np.array([0.3, -0.7, 1.1])


def plain(x):
    return tf.sin(x) * tf.exp(0.5 * x)


def with_variables(x):
    return tf.tanh(tf.linalg.matvec(W, x)) ** 2


def with_keywords(x, *, scale=1.0, shift=None):
    return tf.sin(scale * x) + (0.0 if shift is None else shift * x**2)


def several(x):
    return {"a": tf.sin(x) * x, "b": [tf.exp(x), x**3]}


again = tf.recompute_grad
early = again(plain)  # made before anything is traced


def called(wrap):
    inner = tf.function(wrap(plain))
    return lambda x: inner(x) * inner(2.0 * x)


def closing_over(wrap):
    def f(x):
        k = 2.0 * x
        return wrap(lambda z: tf.sin(z * k))(x)

    return f


def nested(wrap):
    inner = wrap(lambda z: tf.sin(z) * z)
    return wrap(lambda x: tf.exp(inner(x)) + inner(x**2))


def in_a_loop(wrap):
    step = wrap(lambda z: z + tf.sin(z))
    return lambda x: tf.while_loop(lambda i, _: i < 3, lambda i, z: (i + 1, step(z)), [0, x])[1]


def in_a_branch(wrap):
    step = wrap(plain)
    return lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: step(x), lambda: x)


FUNCTIONS = {
    "plain": lambda wrap: lambda x: wrap(plain)(x),
    "variables": lambda wrap: wrap(with_variables),
    "keywords": lambda wrap: lambda x: wrap(with_keywords)(x, scale=2.0, shift=tf.reduce_sum(x)),
    "several results": lambda wrap: (
        lambda x: (lambda found: found["a"] * found["b"][0] + found["b"][1])(wrap(several)(x))
    ),
    "several arguments": lambda wrap: lambda x: wrap(lambda a, b: a * tf.sin(b))(x, x**2),
    "a called function": called,
    "what it closes over": closing_over,
    "nested": nested,
    "a loop": in_a_loop,
    "a branch": in_a_branch,
}


def total(f):
    return lambda x: tf.reduce_sum(f(x) ** 2)


V = np.array([0.2, 1.0, -0.4])
DERIVATIVES = {
    "value": lambda f, **k: tgk.value_and_jacobian(f, **k)(X)[0],
    "jacobian": lambda f, **k: tgk.jacobian(f, **k)(X),
    "hessian": lambda f, **k: tgk.hessian(total(f), **k)(X),
    "hvp": lambda f, **k: tgk.hvp(total(f), **k)(X, tangents=V),
    "laplacian": lambda f, **k: tgk.laplacian(total(f), **k)(X),
    "third": lambda f, **k: tgk.jacobian(tgk.hessian(total(f)), **k)(X),
}


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_without_it(name, derivative):
    make, take = FUNCTIONS[name], DERIVATIVES[derivative]
    np.testing.assert_allclose(take(make(again)), take(make(lambda f: f)), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("derivative", ["jacobian", "hessian", "third"])
def test_modes_and_compilation(mode, derivative):
    take = DERIVATIVES[derivative]
    for name in ("plain", "variables", "keywords", "what it closes over"):
        make = FUNCTIONS[name]
        found = take(make(again), mode=mode, jit_compile=True)
        np.testing.assert_allclose(found, take(make(lambda f: f)), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("strategy", ["vectorize", "tile", "loop"])
def test_strategies(strategy):
    found = tgk.jacobian(lambda x: again(plain)(x), batched=True, strategy=strategy)(np.stack([X, V]))
    np.testing.assert_allclose(found, tgk.jacobian(plain, batched=True)(np.stack([X, V])), rtol=1e-12)


def test_by_variables():
    for order in (tgk.gradient, tgk.hessian):
        found = order(total(again(with_variables)), wrt=[W])(X)
        expected = order(total(with_variables), wrt=[W])(X)
        tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13), found, expected)


def test_one_that_was_made_before():
    np.testing.assert_allclose(tgk.hessian(total(early))(X), tgk.hessian(total(plain))(X), rtol=1e-12)


def test_the_function_itself():
    np.testing.assert_allclose(tgk.hessian(total(again(plain)))(X), tgk.hessian(total(plain))(X), rtol=1e-12)


def test_a_function_that_was_traced_before():
    """It keeps TensorFlow's gradient, which has one of its own meanwhile."""
    traced = tf.function(again(plain))
    traced(tf.constant(X))
    found = tgk.hessian(total(traced))(X)
    np.testing.assert_allclose(found, tgk.hessian(total(plain))(X), rtol=1e-12)


def test_it_is_tensorflows_afterwards():
    x = tf.constant(X)
    tgk.hessian(total(again(plain)))(X)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = again(plain)(again(plain)(x))
        slope = tape.gradient(y, x)
    with pytest.raises(NotImplementedError):
        outer.gradient(slope, x)


class Recomputed(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(4, "tanh")])

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return tf.recompute_grad(self.inner)(x)


def model(recomputed):
    keras.utils.set_random_seed(1)
    middle = Recomputed() if recomputed else keras.Sequential(
        [keras.layers.Dense(4, "tanh"), keras.layers.Dense(4, "tanh")]
    )  # fmt: skip
    return keras.Sequential([keras.Input((3,), dtype="float64"), middle, keras.layers.Dense(1)])


@pytest.fixture(scope="module")
def models_of_both():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        found, expected = model(True), model(False)
    finally:
        keras.config.set_dtype_policy(before)
    found.set_weights(expected.get_weights())
    return found, expected


@pytest.mark.parametrize("operator", [tgk.jacobian, tgk.hessian, tgk.laplacian])
def test_in_a_keras_layer(models_of_both, operator):
    found, expected = (operator(m)(np.stack([X, V])) for m in models_of_both)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_a_keras_layer_by_parameters(models_of_both):
    found, expected = (tgk.jacobian(m, wrt="parameters")(np.stack([X, V])) for m in models_of_both)
    found, expected = (list(j.values()) if isinstance(j, dict) else list(j) for j in (found, expected))
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_keras_rematerialization():
    x = np.stack([X, V])
    dense = keras.layers.Dense(4, "tanh", dtype="float64")
    dense.build((None, 3))
    remat = keras.remat(dense.__call__)
    found = tgk.hessian(lambda z: tf.reduce_sum(remat(z), 1), batched=True)(x)
    np.testing.assert_allclose(found, tgk.hessian(lambda z: tf.reduce_sum(dense(z), 1), batched=True)(x), rtol=1e-11)


def test_what_is_not_the_same_twice_is_refused():
    """TensorFlow draws other numbers the second time: its gradient is that of another function."""
    with pytest.raises(GradientError, match="random numbers would be others"):
        tgk.gradient(lambda x: tf.reduce_sum(again(lambda z: z * tf.random.normal([3], dtype=tf.float64))(x)))(X)


def tanhs(f):
    """How many there are in the compiled gradient of f∘f."""
    slope = tgk.vjp(lambda x: f(f(x)))
    traced = tf.function(lambda x: slope(x, output_gradients=tf.ones([3], tf.float64)), jit_compile=True)
    return traced.experimental_get_compiler_ir(tf.constant(X))(stage="optimized_hlo").count(" tanh(")


def test_it_still_saves_memory():
    """The inner results are computed again in the first derivative: no compiler merges them."""

    def chain(x):
        for _ in range(3):
            x = tf.tanh(tf.linalg.matvec(W, x))
        return x

    assert tanhs(chain) == 6
    assert tanhs(lambda x: again(chain)(x)) >= 9
