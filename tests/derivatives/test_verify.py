"""``verify=``: what a derivative's comparison with itself finds, by planted faults, and what it leaves alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.derivatives import jacobian as jacobian_file
from tfgradkit.derivatives import self_check
from tfgradkit.derivatives.sweep import seeded_products
from tfgradkit.errors import SignatureError, VerificationError

X = np.random.default_rng(0).normal(size=(3, 4))


def smooth(x):
    return tf.tanh(x) * tf.reduce_sum(x**2, -1, keepdims=True)


def scalar(x):
    return tf.reduce_sum(smooth(x))


@pytest.fixture
def compared(monkeypatch):
    """The parts that were compared."""
    names, compare = [], self_check._Check.compare

    def watched(check, name, *given):
        compare(check, name, *given)
        names.append(name)

    monkeypatch.setattr(self_check._Check, "compare", watched)
    return names


def skewed(nest):
    """All tensors off by ten percent."""
    return tf.nest.map_structure(lambda tensor: tensor * tf.cast(1.1, tensor.dtype), nest)


@pytest.fixture
def wrong_vectorization(monkeypatch):
    """The loop over all seeds at once is wrong, by ten percent."""
    true = tf.vectorized_map
    monkeypatch.setattr(tf, "vectorized_map", lambda *args, **keywords: skewed(true(*args, **keywords)))


@pytest.mark.parametrize("operator", ["jacobian", "hessian", "value_and_jacobian", "value_gradient_and_hessian"])
@pytest.mark.parametrize("batched", [False, True])
def test_a_wrong_vectorized_loop_is_found(operator, batched, wrong_vectorization):
    make = getattr(tgk, operator)
    with pytest.raises(VerificationError, match=r"differs from a plain product(.|\n)*verify=\"off\""):
        make(smooth, batched=batched)(X)
    make(smooth, batched=batched, verify="off")(X)
    with pytest.raises(SignatureError, match="no such choice"):
        make(smooth, verify="second")


@pytest.mark.parametrize("by", ["parameters", "kernel"])
def test_by_variables(by, wrong_vectorization):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(2)])
    wrt = "parameters" if by == "parameters" else [model.layers[0].kernel]
    with pytest.raises(VerificationError, match="jacobian of"):
        tgk.jacobian(model, wrt=wrt)(X.astype("float32"))


def test_a_wrong_forward_mode_is_found(monkeypatch):
    true = seeded_products.transposed
    monkeypatch.setattr(seeded_products, "transposed", lambda pull: lambda vs: skewed(true(pull)(vs)))
    with pytest.raises(VerificationError, match="jacobian of"):
        tgk.jacobian(smooth, mode="forward")(X)
    tgk.jacobian(smooth, mode="reverse")(X)


def test_wrong_connections_are_found(monkeypatch):
    """A block that is taken for zero."""
    true = jacobian_file.connections
    monkeypatch.setattr(jacobian_file, "connections", lambda pull: [[False] * len(row) for row in true(pull)])
    with pytest.raises(VerificationError, match="jacobian of"):
        tgk.jacobian(smooth)(X)


def test_a_pattern_that_misses_entries_is_found():
    pattern = scipy.sparse.eye(4, dtype=bool)
    with pytest.raises(VerificationError, match="sparse_jacobian of"):
        tgk.sparse_jacobian(smooth, pattern=pattern)(X[0])
    found = tgk.sparse_jacobian(lambda x: x**3, pattern=pattern)(X[0])
    np.testing.assert_allclose(found.diagonal(), 3 * X[0] ** 2)


def test_samples_that_are_mixed_are_found(monkeypatch):
    """Where nothing else has noticed."""
    from tfgradkit.derivatives import evaluate

    monkeypatch.setattr(evaluate, "independent", lambda problem, samples: problem)
    with pytest.raises(VerificationError, match="jacobian of"):
        tgk.jacobian(lambda x: x * tf.reduce_mean(x, 0), batched=True)(X)


def test_a_wrong_rule_of_a_jet_is_found(monkeypatch):
    from tfgradkit.derivatives import laplacian as file

    true = file.laplacian
    monkeypatch.setitem(
        __import__("tfgradkit.derivatives.operator_table", fromlist=["OPERATORS"]).OPERATORS,
        "laplacian",
        lambda problem: {name: skewed(part) if name == "laplacian" else part for name, part in true(problem).items()},
    )
    with pytest.raises(VerificationError, match="laplacian of"):
        tgk.laplacian(smooth, batched=True)(X[:, :3])


def planted(order):
    """x³, whose derivative of that order is off by one percent."""

    @tf.custom_gradient
    def cube(x):
        def grad(upstream):
            @tf.custom_gradient
            def slope(x):
                return 3 * x**2 * (1.01 if order == 1 else 1), lambda u: u * 6 * x * (1.01 if order == 2 else 1)

            return upstream * slope(x)

        return x**3, grad

    return cube


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_differences_see_what_both_sides_have_in_common(dtype):
    x = X[0].astype(dtype)
    tgk.jacobian(planted(1), verify="first")(x)
    with pytest.raises(VerificationError, match="differences of the function's values"):
        tgk.jacobian(planted(1), verify="differences")(x)
    with pytest.raises(VerificationError, match="differences of the function's values"):
        tgk.hessian(planted(1), verify="differences")(x)
    with pytest.raises(VerificationError, match="differences of the derivative before it"):
        tgk.hessian(planted(2), verify="differences")(x)
    found = tgk.hessian(planted(0), verify="differences")(x)
    np.testing.assert_allclose(np.einsum("iii->i", found), 6 * x, rtol=1e-4)


def test_differences_at_a_kink_are_no_difference():
    tgk.jacobian(lambda x: tf.nn.relu(x) + tf.abs(x), verify="differences")(np.array([0.0, 1.0, -2.0]))
    tgk.gradient(lambda x: tf.reduce_max(x), verify="differences")(np.array([1.0, 1.0, 0.0]))


CALLS = {
    "gradient": lambda: tgk.gradient(scalar)(X),
    "jacobian": lambda: tgk.jacobian(smooth)(X),
    "vjp": lambda: tgk.vjp(smooth)(X, output_gradients=X),
    "jvp": lambda: tgk.jvp(smooth)(X, tangents=X),
    "hessian": lambda: tgk.hessian(scalar)(X),
    "hvp": lambda: tgk.hvp(scalar)(X, tangents=X),
    "laplacian": lambda: tgk.laplacian(smooth, batched=True)(X[:, :2]),
    "divergence": lambda: tgk.divergence(smooth, batched=True)(X[:, :3]),
    "partial": lambda: tgk.partial(smooth, 0, 0, 1, batched=True)(X),
    "sparse_jacobian": lambda: tgk.sparse_jacobian(smooth, batched=True)(X),
    "linearize": lambda: tgk.linearize(smooth)(X),
}


@pytest.mark.parametrize("operator", CALLS)
def test_every_operator_is_compared(operator, compared):
    CALLS[operator]()
    assert compared == (["jvp", "vjp"] if operator == "linearize" else [operator])


def test_structures_and_gaps(compared):
    def f(a, b):
        return {"p": a * b["q"], "s": tf.reduce_sum(a), "r": b["r"] ** 2}

    tgk.jacobian(f, argnums=(0, 1), unconnected="none")(X, {"q": X, "r": X[0]})
    tgk.hessian(f, argnums=(0, 1), unconnected="none")(X, {"q": X, "r": X[0]})
    tgk.vjp(f, argnums=1)(X, {"q": X, "r": X[0]}, output_gradients={"p": X, "s": 2.0, "r": X[0]})
    assert compared == ["jacobian", "hessian", "vjp"]


def test_once_a_signature(compared):
    derivative = tgk.jacobian(smooth, batched=True)
    _ = derivative(X)
    for rows in (X, X[:2], tf.constant(X)):
        derivative(rows)
    assert compared == ["jacobian"]
    derivative(X.astype("float32"))
    assert compared == ["jacobian"] * 2


def test_what_has_state_is_left_alone(compared):
    """A counter counts the calls of the user; random numbers come in the order that the user has."""
    counter = tf.Variable(0.0, dtype=tf.float64)

    def counting(x):
        counter.assign_add(1.0)
        return x**2

    tgk.jacobian(counting)(X[0])
    assert counter.numpy() == 1

    def draws(verify):
        tf.random.set_seed(3)
        tgk.jacobian(lambda x: tf.nn.dropout(x, 0.5), verify=verify)(X[0])
        return tf.random.normal([3]).numpy()

    np.testing.assert_array_equal(draws("first"), draws("off"))
    assert compared == []


def test_an_ill_conditioned_function_is_no_false_alarm():
    """Float32 through a matrix of condition 1e6 has few digits, and both sides other ones."""
    a = np.vander(np.linspace(0.2, 1, 7)).astype("float32")
    b = np.ones((7, 1), "float32")
    found = tgk.jacobian(lambda x: tf.linalg.solve(x, b))(a)
    assert found.shape == (7, 1, 7, 7)
