"""Laplacians and divergences: closed forms, every rule, fallbacks, estimates, compositions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import activation_branches, branches, build, layer_branches, mlp

import tfgradkit as tgk

X = np.random.default_rng(3).uniform(0.3, 1.2, (4, 3))
A = np.random.default_rng(5).normal(size=(3, 3))
METHODS = ("forward", "exact")


def squared_norm(x):
    return tf.reduce_sum(x**2, -1)


# Functions of batches [B, 3], and their Laplacians by hand.
CLOSED_FORMS = {
    "harmonic_polynomial": (lambda x: x[:, 0] ** 2 - x[:, 1] ** 2 + x[:, 0] * x[:, 1] * x[:, 2], lambda x: 0 * x[:, 0]),
    "newtonian_potential": (lambda x: tf.math.rsqrt(squared_norm(x)), lambda x: 0 * x[:, 0]),
    "plane_wave": (
        lambda x: tf.sin(x[:, 0]) * tf.cos(2 * x[:, 1]) * tf.exp(x[:, 2]),
        lambda x: -4 * np.sin(x[:, 0]) * np.cos(2 * x[:, 1]) * np.exp(x[:, 2]),
    ),
    "quadratic_form": (
        lambda x: tf.einsum("bi,ij,bj->b", x, A, x),
        lambda x: np.full(len(x), 2 * np.trace(A)),
    ),
    "gaussian": (
        lambda x: tf.exp(-squared_norm(x)),
        lambda x: (4 * (x**2).sum(1) - 6) * np.exp(-(x**2).sum(1)),
    ),
    "product": (lambda x: tf.reduce_prod(x**2, -1), lambda x: 2 * np.prod(x**2, 1) * (1 / x**2).sum(1)),
    "quotient": (lambda x: x[:, 0] / x[:, 1], lambda x: 2 * x[:, 0] / x[:, 1] ** 3),
    "power": (
        lambda x: x[:, 0] ** x[:, 1],
        lambda x: x[:, 0] ** x[:, 1] * (x[:, 1] * (x[:, 1] - 1) / x[:, 0] ** 2 + np.log(x[:, 0]) ** 2),
    ),
    "helmholtz": (
        lambda x: tf.reduce_sum(x * tf.math.log(x / (1 - tf.reduce_sum(0.2 * x, -1, keepdims=True))), -1),
        None,
    ),
    "vector": (lambda x: x**3, lambda x: 6 * x),
    "matrix": (lambda x: x[:, :, None] * x[:, None, :], lambda x: np.tile(2 * np.eye(3), (len(x), 1, 1))),
    "linear": (lambda x: x @ A, lambda x: 0 * x),
}


def difference_quotient(f, x, h=1e-3):
    """Second differences of sixth order, all points in one batch."""
    weights = {0: -49 / 18, 1: 1.5, 2: -0.15, 3: 1 / 90}
    steps = [(k * h * sign * unit, w) for k, w in weights.items() for sign in (1, -1) for unit in np.eye(x.shape[1])]
    values = np.split(np.asarray(f(tf.constant(np.concatenate([x + step for step, _ in steps])))), len(steps))
    return sum((w if step.any() else w / 2) * v for (step, w), v in zip(steps, values, strict=True)) / h**2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_laplacian_is_the_closed_form(name, method):
    f, closed = CLOSED_FORMS[name]
    value, got = tgk.value_and_laplacian(f, batched=True, method=method)(X)
    hessian = tgk.hessian(f, batched=True)(X).numpy()
    expected = np.trace(hessian, axis1=-2, axis2=-1) if closed is None else closed(X)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(value, f(tf.constant(X)), rtol=1e-15)


# The points are such that no difference steps over a kink.
@pytest.mark.parametrize(
    ("make", "seed"), [(activation_branches, 7), (layer_branches, 4)], ids=["activations", "layers"]
)
def test_every_activation_and_layer_is_carried_and_agrees_with_finite_differences(make, seed):
    model = build(lambda: branches(make()), "float64")
    x = np.random.default_rng(seed).normal(size=(2, 4))
    derivative = tgk.laplacian(model)
    np.testing.assert_allclose(derivative(x), difference_quotient(model, x), rtol=1e-6, atol=1e-6)
    assert "forward Laplacian" in derivative.plan.reason  # every one of them is carried by rules


# What the rules must carry besides, each of [B, 3] → anything.
OPS = {
    "gather_pad_tile": lambda x: (
        tf.pad(tf.gather(tf.sin(x), [2, 0], axis=1), [[0, 0], [1, 2]]) * tf.tile(x, [1, 2])[:, :5]
    ),
    "split_stack_unstack": lambda x: tf.stack(tf.unstack(tf.exp(x), axis=1) + tf.split(x**2, 3, 1)[0:1][0:0], -1),
    "split_by_sizes": lambda x: tf.concat(tf.split(tf.exp(x), [1, 2], axis=-1)[::-1], 1) * x,
    "slices": lambda x: tf.slice(tf.sin(x), [0, 1], [-1, 2]) * tf.exp(x)[:, ::2] * x[..., tf.newaxis, 0],
    "where": lambda x: tf.where(x > 0.7, tf.sin(x), x[:, :1] ** 3),
    "select_of_constants": lambda x: tf.where(x > 0.7, tf.constant(2.0, tf.float64), x**3),
    "cumulative_and_reversed": lambda x: tf.cumsum(tf.exp(x), 1) * tf.reverse(x, [1]),
    "broadcast": lambda x: tf.broadcast_to(tf.sin(x)[:, None], [4, 2, 3]) * x[:, None],
    "batched_products": lambda x: tf.matmul(tf.sin(x)[:, :, None], tf.exp(x)[:, None, :]),
    "both_factors_depend": lambda x: tf.matmul(x[:, None], x[:, None], transpose_b=True),
    "norm_and_softmax": lambda x: tf.nn.softmax(tf.sin(x)) * tf.norm(x, axis=-1, keepdims=True),
    "reductions": lambda x: tf.reduce_mean(x**3, 1) + tf.math.reduce_logsumexp(2 * x, 1) + tf.reduce_max(x**2, 1),
    "cumulative_product": lambda x: tf.math.cumprod(x, 1),
    "inverse": lambda x: tf.linalg.inv(tf.eye(3, dtype=tf.float64) * 3 + x[:, :, None] * x[:, None]),
    "stopped": lambda x: x**2 * tf.stop_gradient(x) + tf.floor(x),
    "mixed_precision": lambda x: tf.cast(tf.cast(x, tf.float32), tf.float64) ** 2,
    "same_tensor_twice": lambda x: tf.math.xlogy(x, x) + tf.pow(x, x) + tf.math.squared_difference(x, 2 * x) + x * x,
    "image": lambda x: tf.nn.conv2d(
        tf.reshape(tf.sin(x), [-1, 1, 3, 1]), tf.reshape(tf.constant(A), [1, 3, 1, 3]), 1, "SAME"
    ),
    "pooled": lambda x: tf.nn.avg_pool2d(tf.reshape(x**3, [-1, 1, 3, 1]), [1, 2], 1, "VALID"),
}


@pytest.mark.parametrize("name", OPS)
def test_every_rule_agrees_with_nested_reverse_derivatives(name):
    f = OPS[name]
    derivative = tgk.laplacian(f, batched=True)
    got = derivative(X)
    expected = tgk.laplacian(f, batched=True, method="exact")(X)
    tolerance = 1e-5 if name == "mixed_precision" else 1e-10
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@tf.custom_gradient
def cube_with_doubled_gradient(x):
    return x**3, lambda u: 6 * u * x**2


def looped(x):
    return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.sin(y) * x), (0, x))[1]


def inside_a_function(f):
    return tf.function(lambda x: 2 * tf.function(f)(x))


FALLBACKS = {
    "custom_gradient": (cube_with_doubled_gradient, 12 * X),
    "custom_gradient_in_a_function": (inside_a_function(cube_with_doubled_gradient), 24 * X),
    "loop": (looped, None),
    "condition": (lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x**3, lambda: x), 6 * X),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_what_no_rule_carries_falls_back_to_nesting(name):
    f, expected = FALLBACKS[name]
    derivative = tgk.laplacian(f, batched=True)
    if expected is None:
        np.testing.assert_allclose(derivative(X), difference_quotient(f, X), rtol=1e-7, atol=1e-7)
    else:
        np.testing.assert_allclose(derivative(X), expected, rtol=1e-12)
    assert "nested, since no rule carries" in derivative.plan.reason


def test_functions_in_functions_and_their_variables_are_carried():
    weights = tf.Variable(A)
    derivative = tgk.laplacian(inside_a_function(lambda x: tf.tanh(x @ weights)), batched=True)
    z = np.tanh(X @ A)
    np.testing.assert_allclose(derivative(X), -4 * z * (1 - z**2) * (A**2).sum(0), rtol=1e-12)
    assert "forward Laplacian" in derivative.plan.reason
    weights.assign(2 * A)
    z = np.tanh(2 * X @ A)
    np.testing.assert_allclose(derivative(X), -16 * z * (1 - z**2) * (A**2).sum(0), rtol=1e-12)


@pytest.mark.parametrize(
    "keywords", [{"chunk_size": 2}, {"strategy": "loop"}, {"memory_limit": 100}, {"chunk_size": "auto"}]
)
@pytest.mark.parametrize("method", METHODS)
def test_chunks_change_nothing(method, keywords):
    model = build(mlp(3, 2, width=5), "float64")
    expected = tgk.laplacian(model)(X)
    np.testing.assert_allclose(tgk.laplacian(model, method=method, **keywords)(X), expected, rtol=1e-12)


def test_structures_argnums_and_aux():
    def f(point, scale, shift):
        return {"a": point["p"] ** 2 * scale[:, None], "b": tf.sin(point["q"])}, shift

    q, scale = np.linspace(0, 1, 4), np.arange(1.0, 5)
    value, got, aux = tgk.value_and_laplacian(f, batched=True, has_aux=True)({"p": X, "q": q}, scale, "aux")
    np.testing.assert_allclose(got["a"], 2 * scale[:, None] * np.ones((4, 3)))
    np.testing.assert_allclose(got["b"], -np.sin(q))
    np.testing.assert_allclose(value["b"], np.sin(q))
    assert aux == "aux"
    got = tgk.laplacian(lambda x, y: x**2 * y**3, argnums=(0, 1))(2.0, 3.0)
    assert float(got) == pytest.approx(2 * 27 + 4 * 6 * 3)


def test_unconnected_results():
    both = lambda x: (2 * x, tf.ones([4, 2], tf.float64))  # noqa: E731
    linear, constant = tgk.laplacian(both, batched=True)(X)
    assert not linear.numpy().any()
    assert constant.shape == (4, 2)
    linear, constant = tgk.laplacian(both, batched=True, unconnected="none")(X)
    assert linear.shape == (4, 3)
    assert constant is None
    with pytest.raises(tgk.errors.GradientError, match="does not depend"):
        tgk.laplacian(both, batched=True, unconnected="raise")(X)


def test_one_trace_serves_any_batch_and_none():
    derivative = tgk.laplacian(lambda x: x**3, batched=True)
    for size in (4, 2, 0, 1):
        np.testing.assert_allclose(derivative(X[:size]), 6 * X[:size])
    assert derivative.trace_count == 1


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "compiled"])
def test_biharmonic_operator_and_outer_tapes(compiled):
    f = lambda x: tf.sin(x[:, 0]) * tf.exp(2 * x[:, 1]) * x[:, 2] ** 4  # noqa: E731
    g = tgk.laplacian(f, batched=True)
    # The function is an eigenfunction of ∂₀² + ∂₁², with eigenvalue 3.
    plane, (z, z2) = np.sin(X[:, 0]) * np.exp(2 * X[:, 1]), (X[:, 2], X[:, 2] ** 2)

    @tf.function(jit_compile=compiled)
    def twice(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = g(x)
        return tgk.laplacian(g)(x), tape.gradient(y, x)

    fourth, slope = twice(tf.constant(X))
    np.testing.assert_allclose(fourth, plane * (9 * z2**2 + 2 * 3 * 12 * z2 + 24), rtol=1e-11)
    np.testing.assert_allclose(slope[:, 2], plane * (12 * z**3 + 24 * z), rtol=1e-11)


@pytest.mark.parametrize("way", ["from_Python", "compiled"])
@pytest.mark.parametrize("nested", [False, True], ids=["model", "function"])
def test_outer_tape_differentiates_by_the_weights(way, nested):
    model = build(mlp(3, 1, width=4), "float64")
    derivative = tgk.laplacian(inside_a_function(model), batched=True) if nested else tgk.laplacian(model)
    kernel = model.trainable_variables[0].value
    start, along = kernel.numpy(), np.random.default_rng(6).normal(size=kernel.shape)
    x = tf.constant(X)

    def loss(step=0.0):
        kernel.assign(start + step * along)
        return tf.reduce_sum(tf.sin(derivative(x)))

    def slope():
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.sin(derivative(x)))
        return tape.gradient(y, kernel)

    got, h = np.sum((slope if way == "from_Python" else tf.function(slope, jit_compile=True))() * along), 1e-3
    quotient = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
    np.testing.assert_allclose(got, quotient, rtol=1e-8)


def test_laplacian_by_variables():
    weights = tf.Variable([1.0, 2.0])
    got = tgk.laplacian(lambda x: tf.reduce_sum(weights**3) * tf.cast(x, tf.float32), wrt=[weights])(2.0)
    assert float(got) == pytest.approx(2 * 6 * 3)


def test_hutchinson_is_unbiased_seeded_and_exact_for_diagonal_hessians():
    separable = tgk.laplacian(squared_norm, batched=True, method="hutchinson", probes=1)
    np.testing.assert_allclose(separable(X), np.full(4, 6.0))
    f = lambda x: tf.einsum("bi,ij,bj->b", x, A, x)  # noqa: E731
    estimate = tgk.laplacian(f, batched=True, method="hutchinson", probes=4000, seed=1)
    symmetric = A + A.T
    deviation = np.sqrt(2 * (symmetric**2).sum() - 2 * (np.diag(symmetric) ** 2).sum())
    assert np.abs(estimate(X) - 2 * np.trace(A)).max() < 5 * deviation / np.sqrt(4000)
    np.testing.assert_array_equal(estimate(X), estimate(X))
    chunked = tgk.laplacian(f, batched=True, method="hutchinson", probes=4000, seed=1, chunk_size=999)
    np.testing.assert_allclose(chunked(X), estimate(X), rtol=1e-12)
    unseeded = tgk.laplacian(f, batched=True, method="hutchinson", probes=3)
    assert (unseeded(X).numpy() != unseeded(X).numpy()).any()
    looped_estimate = tgk.laplacian(lambda x: looped(x) ** 2, batched=True, method="hutchinson", seed=1)
    assert looped_estimate(X).shape == (4, 3)


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"method": "magic"}, "forward | exact | hutchinson"),
        ({"probes": 0}, "from 1 on"),
        ({"seed": 1.5}, "a whole number"),
    ],
)
def test_wrong_choices_are_told(keywords, told):
    with pytest.raises(tgk.errors.SignatureError) as raised:
        tgk.laplacian(squared_norm, **keywords)
    assert told in str(raised.value)


def test_recurrent_model_falls_back_exactly():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((2, 1), dtype="float64")
    model = keras.Model(inputs, keras.layers.SimpleRNN(2, unroll=False, dtype="float64")(inputs))
    x = np.random.default_rng(8).normal(size=(2, 2))
    flat = lambda z: model(z[..., None])  # noqa: E731
    np.testing.assert_allclose(tgk.laplacian(flat, batched=True)(x), difference_quotient(flat, x), rtol=1e-7, atol=1e-8)


# Divergence.
FIELDS = {
    "identity": (lambda x: x, lambda x: np.full(len(x), 3.0)),
    "rotation": (lambda x: tf.stack([-x[:, 1], x[:, 0], 0 * x[:, 2]], 1), lambda x: np.zeros(len(x))),
    "linear": (lambda x: x @ A, lambda x: np.full(len(x), np.trace(A))),
    "products": (lambda x: x**2 * x[:, :1], lambda x: 2 * x[:, 0] * x.sum(1) + x[:, 0] ** 2),
}


@pytest.mark.parametrize(
    "keywords", [{}, {"mode": "reverse"}, {"strategy": "tile"}, {"strategy": "loop"}, {"chunk_size": 2}]
)
@pytest.mark.parametrize("name", FIELDS)
def test_divergence_is_the_closed_form(name, keywords):
    f, closed = FIELDS[name]
    value, got = tgk.value_and_divergence(f, batched=True, **keywords)(X)
    np.testing.assert_allclose(got, closed(X), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(value, f(tf.constant(X)), rtol=1e-14)


def test_divergence_of_a_gradient_is_the_laplacian():
    f = CLOSED_FORMS["gaussian"][0]
    got = tf.function(tgk.divergence(tgk.gradient(f, batched=True)))(tf.constant(X))
    np.testing.assert_allclose(got, tgk.laplacian(f, batched=True)(X), rtol=1e-12)


def test_divergence_of_structures_and_of_one_sample():
    f = lambda z: {"a": z["a"] ** 2, "b": z["b"] * z["a"][0]}  # noqa: E731
    got = tgk.divergence(f)({"a": np.array([1.0, 2.0]), "b": np.array(5.0)})
    assert got.shape == ()
    assert float(got) == pytest.approx(2 * 1 + 2 * 2 + 1)


def test_divergence_of_another_shape_is_told():
    with pytest.raises(tgk.errors.SignatureError) as raised:
        tgk.divergence(lambda x: x[:, :2], batched=True)(X)
    assert "shaped like" in str(raised.value)
    assert "[B, 2]" in str(raised.value)
