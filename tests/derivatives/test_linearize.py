"""Linear maps: products against vjp, jvp and jacobian, flat vectors and structures, SciPy, errors, cost."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk

X = np.random.default_rng(3).uniform(0.3, 1.2, (4, 3))
rng = np.random.default_rng(4)


@pytest.fixture(scope="module")
def model():
    return build(mlp(3, 2, width=5), "float64")


def test_products_are_those_of_jvp_and_vjp(model):
    y, linear_map = tgk.linearize(model)(X)
    v, u = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    np.testing.assert_allclose(y, model(X), rtol=1e-15)
    np.testing.assert_allclose(linear_map.matvec(v), tgk.jvp(model)(X, tangents=v), rtol=1e-12)
    np.testing.assert_allclose(linear_map.rmatvec(u), tgk.vjp(model)(X, output_gradients=u), rtol=1e-12)
    np.testing.assert_array_equal(linear_map @ v.ravel(), np.ravel(linear_map.matvec(v)))
    np.testing.assert_array_equal(linear_map.T.matvec(u.ravel()), linear_map.rmatvec(u.ravel()))
    assert (linear_map.shape, linear_map.T.shape, linear_map.dtype) == ((8, 12), (12, 8), np.float64)
    assert repr(linear_map) == "LinearMap(mlp: [4, 3] → [4, 2])"


def test_dense_is_block_diagonal(model):
    _, linear_map = tgk.linearize(model)(X)
    blocks = np.zeros((8, 12))
    for sample, block in enumerate(tgk.jacobian(model)(X).numpy()):
        blocks[2 * sample : 2 * sample + 2, 3 * sample : 3 * sample + 3] = block
    np.testing.assert_allclose(linear_map.to_dense(), blocks, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(linear_map.T.to_dense(), blocks.T, rtol=1e-12, atol=1e-15)


def test_structures_several_arguments_and_aux():
    f = lambda x, t: ({"a": x * t[:, None], "b": tf.sin(t)}, t)  # noqa: E731
    t = X[:, 0]
    y, linear_map, aux = tgk.linearize(f, argnums=(0, 1), batched=True, has_aux=True)(X, t)
    np.testing.assert_allclose(y["b"], np.sin(t))
    np.testing.assert_allclose(aux, t)
    dx, dt = rng.normal(size=(4, 3)), rng.normal(size=4)
    got = linear_map.matvec((dx, dt))
    np.testing.assert_allclose(got["a"], dx * t[:, None] + X * dt[:, None], rtol=1e-13)
    np.testing.assert_allclose(got["b"], np.cos(t) * dt, rtol=1e-13)
    flat = linear_map.matvec(np.concatenate([dx.ravel(), dt]))
    np.testing.assert_allclose(flat, np.concatenate([np.ravel(got["a"]), got["b"]]), rtol=1e-13)
    # <u, Jv> = <uJ, v>, over all tensors.
    u = {"a": rng.normal(size=(4, 3)), "b": rng.normal(size=4)}
    by_x, by_t = linear_map.rmatvec(u)
    one = np.sum(u["a"] * got["a"]) + np.sum(u["b"] * got["b"])
    np.testing.assert_allclose(np.sum(by_x * dx) + np.sum(by_t * dt), one, rtol=1e-12)
    np.testing.assert_allclose(linear_map.to_dense() @ np.concatenate([dx.ravel(), dt]), flat, rtol=1e-12)


def test_a_linear_function_and_one_that_does_not_depend():
    a = rng.normal(size=(5, 3))
    _, linear_map = tgk.linearize(lambda x: (tf.linalg.matvec(a, x), tf.ones(2, tf.float64)))(X[0])
    np.testing.assert_allclose(linear_map.to_dense(), np.vstack([a, np.zeros((2, 3))]), rtol=1e-14)


def test_map_by_variables_is_that_of_the_whole_batch(model):
    y, linear_map = tgk.linearize(model, wrt="parameters")(X)
    variables = [v.value for v in model.trainable_variables]
    u = rng.normal(size=(4, 2))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(X) * u)
    for got, expected in zip(linear_map.rmatvec(u), tape.gradient(total, variables), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)
    assert linear_map.shape == (8, model.count_params())
    assert linear_map.to_dense().shape == linear_map.shape
    del y


def test_function_runs_once_and_products_never_trace_again():
    runs, traces = [], []

    def counted(x):
        traces.append(1)
        return tf.numpy_function(lambda a: (runs.append(1), a)[1], [x], tf.float64) * 0 + x**2

    def stopped(x):
        return x**2 + 0 * tf.stop_gradient(counted(x))

    derivative = tgk.linearize(stopped)
    for point in (X[0], X[1]):
        _, linear_map = derivative(point)
        before = len(runs), len(traces)
        for _ in range(3):
            np.testing.assert_allclose(linear_map.matvec(np.ones(3)), 2 * point)
            np.testing.assert_allclose(linear_map.rmatvec(np.ones(3)), 2 * point)
        assert (len(runs), len(traces)) == before
    assert derivative.trace_count == 1


def test_map_keeps_the_weights_it_was_made_with(model):
    _, linear_map = tgk.linearize(model)(X)
    before = linear_map.to_dense()
    kernel = model.trainable_variables[0]
    start = kernel.numpy()
    kernel.assign(2 * start)
    np.testing.assert_array_equal(linear_map.to_dense(), before)
    _, changed = tgk.linearize(model)(X)
    assert np.abs(changed.to_dense() - before).max() > 1e-3
    kernel.assign(start)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "compiled"])
def test_inside_a_tf_function(model, compiled):
    @tf.function(jit_compile=compiled)
    def both(x):
        y, linear_map = tgk.linearize(model)(x)
        return linear_map.matvec(x), linear_map.rmatvec(y)

    forward, reverse = both(tf.constant(X))
    np.testing.assert_allclose(forward, tgk.jvp(model)(X, tangents=X), rtol=1e-12)
    np.testing.assert_allclose(reverse, tgk.vjp(model)(X, output_gradients=model(X)), rtol=1e-12)


def test_compiled_and_with_any_batch(model):
    derivative = tgk.linearize(model, jit_compile=True)
    for size in (4, 2):
        _, linear_map = derivative(X[:size])
        np.testing.assert_allclose(linear_map.matvec(X[:size]), tgk.jvp(model)(X[:size], tangents=X[:size]), rtol=1e-12)
    assert derivative.trace_count == 1


def bratu(u):
    """u'' + λ eᵘ = 0, u(0) = u(1) = 0 with λ = 1, by central differences on inner points."""
    padded = tf.pad(u, [[1, 1]])
    h = 1 / (u.shape[0] + 1)
    return (padded[2:] - 2 * u + padded[:-2]) / h**2 + tf.exp(u)


def test_newton_krylov_solve_of_the_bratu_problem():
    gmres = pytest.importorskip("scipy.sparse.linalg", reason="SciPy solves the linear systems").gmres
    optimize = pytest.importorskip("scipy.optimize")
    derivative, u = tgk.linearize(bratu), np.zeros(49)
    for _ in range(6):
        residual, linear_map = derivative(u)
        step, failed = gmres(linear_map, -residual.numpy(), rtol=1e-12, restart=49)
        assert not failed
        u = u + step
    assert np.abs(bratu(tf.constant(u))).max() < 1e-9
    # The solution is -2 ln(cosh((x - 1/2) θ / 2) / cosh(θ / 4)) with θ = √2 cosh(θ / 4).
    theta = optimize.brentq(lambda t: t - np.sqrt(2) * np.cosh(t / 4), 0, 3)
    x = np.linspace(0, 1, 51)[1:-1]
    np.testing.assert_allclose(u, -2 * np.log(np.cosh((x - 0.5) * theta / 2) / np.cosh(theta / 4)), rtol=1e-3)


def test_as_a_scipy_operator(model):
    pytest.importorskip("scipy")
    _, linear_map = tgk.linearize(model)(X)
    operator = linear_map.as_linear_operator()
    normal = operator.T @ operator
    v, dense = rng.normal(size=12), linear_map.to_dense()
    np.testing.assert_allclose(normal @ v, dense.T @ (dense @ v), rtol=1e-11, atol=1e-13)


def test_without_scipy_it_is_told(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
    _, linear_map = tgk.linearize(model)(X)
    with pytest.raises(tgk.errors.TfGradKitError) as raised:
        linear_map.as_linear_operator()
    assert "tfgradkit[sparse]" in str(raised.value)


def test_wrong_calls_are_told(model):
    derivative = tgk.linearize(model)
    _, linear_map = derivative(X)
    with pytest.raises(tgk.errors.SignatureError, match=r"v has the wrong size[^!]*\[12\][^!]*\[5\]"):
        linear_map.matvec(np.ones(5))
    with pytest.raises(tgk.errors.SignatureError, match="u has the wrong shape"):
        linear_map.rmatvec(np.ones((4, 3)))
    with pytest.raises(tgk.errors.SignatureError, match="tangents= is not an argument"):
        derivative(X, tangents=X)
    with pytest.raises(tgk.errors.SourceError, match="can't be differentiated"):
        tgk.jacobian(derivative)


def test_a_rule_that_is_registered_later_counts(rules_as_before):
    derivative = tgk.linearize(lambda x: tf.sin(x), verify="off")
    x = np.array([0.3])
    np.testing.assert_allclose(derivative(x)[1].matvec(x), np.cos(x) * x)
    with tgk.register_gradient("Sin", lambda op, upstream: 2 * upstream, replace=True):
        np.testing.assert_allclose(derivative(x)[1].matvec(x), 2 * x)
    np.testing.assert_allclose(derivative(x)[1].matvec(x), np.cos(x) * x)
