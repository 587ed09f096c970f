"""Functions whose derivatives were derived by hand, through every operator; and the same networks in JAX."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk

RNG = np.random.default_rng(17)


def rosenbrock(z):
    """Rosenbrock, Computer Journal 3 (1960)."""
    x, y = z
    gradient = [-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)]
    hessian = [[2 - 400 * y + 1200 * x**2, -400 * x], [-400 * x, 200]]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2, gradient, hessian


def himmelblau(z):
    """Himmelblau, Applied Nonlinear Programming (1972)."""
    x, y = z
    a, b = x**2 + y - 11, x + y**2 - 7
    gradient = [4 * x * a + 2 * b, 2 * a + 4 * y * b]
    hessian = [[4 * a + 8 * x**2 + 2, 4 * x + 4 * y], [4 * x + 4 * y, 2 + 4 * b + 8 * y**2]]
    return a**2 + b**2, gradient, hessian


def beale(z):
    """Beale, On an iterative method of finding a local minimum (1958)."""
    x, y = z
    total, gradient, hessian = 0, [0, 0], [[0, 0], [0, 0]]
    for k, c in enumerate((1.5, 2.25, 2.625), start=1):
        r, rx, ry = c - x + x * y**k, y**k - 1, k * x * y ** (k - 1)
        rxy, ryy = k * y ** (k - 1), k * (k - 1) * x * (y ** (k - 2) if k > 1 else 0)
        total = total + r**2
        gradient = [gradient[0] + 2 * r * rx, gradient[1] + 2 * r * ry]
        mixed = hessian[0][1] + 2 * (rx * ry + r * rxy)
        hessian = [[hessian[0][0] + 2 * rx**2, mixed], [mixed, hessian[1][1] + 2 * (ry**2 + r * ryy)]]
    return total, gradient, hessian


def powell(z):
    """Powell's singular function, Computer Journal 5 (1962)."""
    a, b, c, d = z
    p, q, r, s = a + 10 * b, c - d, b - 2 * c, a - d
    gradient = [2 * p + 40 * s**3, 20 * p + 4 * r**3, 10 * q - 8 * r**3, -10 * q - 40 * s**3]
    t, u = 120 * s**2, 12 * r**2
    hessian = [
        [2 + t, 20, 0, -t],
        [20, 200 + u, -2 * u, 0],
        [0, -2 * u, 10 + 4 * u, -10],
        [-t, 0, -10, 10 + t],
    ]
    return p**2 + 5 * q**2 + r**4 + 10 * s**4, gradient, hessian


A = RNG.normal(size=(5, 5))
B = RNG.normal(size=5)


def quadratic(z):
    """½ zᵀ A z + bᵀ z, A not symmetric."""
    z = np.asarray(z)
    return z @ A @ z / 2 + B @ z, (A + A.T) @ z / 2 + B, (A + A.T) / 2


def helmholtz(z):
    """The free energy of van der Waals' mixing, F = T Σ xᵢ log(xᵢ / (1 − bᵀx)) − xᵀAx / (bᵀx) with T, b, A of a
    few lines: the test function of reverse mode (Griewank & Walther, Evaluating Derivatives, sect. 4)."""
    x, b, a, n = np.asarray(z), HELMHOLTZ_B, HELMHOLTZ_A, len(z)
    bx, xax = b @ x, x @ a @ x
    value = np.sum(x * np.log(x / (1 - bx))) - xax / bx
    total = x.sum()
    gradient = np.log(x / (1 - bx)) + 1 + total * b / (1 - bx) - 2 * a @ x / bx + xax * b / bx**2
    outer = np.outer(b, np.ones(n)) + np.outer(np.ones(n), b)
    hessian = np.diag(1 / x) + outer / (1 - bx) + total * np.outer(b, b) / (1 - bx) ** 2
    hessian += -2 * a / bx + 2 * (np.outer(a @ x, b) + np.outer(b, a @ x)) / bx**2 - 2 * xax * np.outer(b, b) / bx**3
    return value, gradient, hessian


HELMHOLTZ_B = np.array([0.10, 0.15, 0.20, 0.05])
HELMHOLTZ_A = np.array([[1.0, 0.2, 0.1, 0.3], [0.2, 0.8, 0.4, 0.1], [0.1, 0.4, 1.2, 0.2], [0.3, 0.1, 0.2, 0.6]])


def tf_helmholtz(x):
    b, a = tf.constant(HELMHOLTZ_B), tf.constant(HELMHOLTZ_A)
    bx = tf.tensordot(b, x, 1)
    return tf.reduce_sum(x * tf.math.log(x / (1 - bx))) - tf.tensordot(x, tf.linalg.matvec(a, x), 1) / bx


# name: closed form, the same in TensorFlow, a point
SCENARIOS = {
    "rosenbrock": (rosenbrock, lambda z: (1 - z[0]) ** 2 + 100 * (z[1] - z[0] ** 2) ** 2, [-1.2, 1.0]),
    "himmelblau": (
        himmelblau, lambda z: (z[0] ** 2 + z[1] - 11) ** 2 + (z[0] + z[1] ** 2 - 7) ** 2, [0.7, -1.3],
    ),
    "beale": (
        beale,
        lambda z: sum((c - z[0] + z[0] * z[1] ** k) ** 2 for k, c in enumerate((1.5, 2.25, 2.625), 1)),
        [1.1, 0.6],
    ),
    "powell": (
        powell,
        lambda z: (z[0] + 10 * z[1]) ** 2 + 5 * (z[2] - z[3]) ** 2 + (z[1] - 2 * z[2]) ** 4 + 10 * (z[0] - z[3]) ** 4,
        [3.0, -1.0, 0.5, 1.0],
    ),
    "quadratic": (
        quadratic,
        lambda z: tf.tensordot(z, tf.linalg.matvec(tf.constant(A), z), 1) / 2 + tf.tensordot(tf.constant(B), z, 1),
        [0.3, -0.8, 1.7, 0.2, -2.0],
    ),
    "helmholtz": (helmholtz, tf_helmholtz, [0.6, 0.9, 0.4, 1.1]),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_operator_is_the_closed_form(name):
    closed, f, point = SCENARIOS[name]
    value, gradient, hessian = (np.asarray(part, float) for part in closed(point))
    x, v = np.array(point), RNG.normal(size=len(point))
    close = {"rtol": 1e-11, "atol": 1e-10}
    y, first, second = tgk.value_gradient_and_hessian(f)(x)
    np.testing.assert_allclose(y, value, **close)
    np.testing.assert_allclose(first, gradient, **close)
    np.testing.assert_allclose(second, hessian, **close)
    np.testing.assert_allclose(tgk.jacobian(f)(x), gradient, **close)
    np.testing.assert_allclose(tgk.jvp(f)(x, tangents=v), gradient @ v, **close)
    np.testing.assert_allclose(tgk.vjp(f)(x, output_gradients=2.0), 2 * gradient, **close)
    np.testing.assert_allclose(tgk.hvp(f)(x, tangents=v), hessian @ v, **close)
    np.testing.assert_allclose(tgk.laplacian(f)(x), np.trace(hessian), **close)
    np.testing.assert_allclose(tgk.divergence(tgk.gradient(f))(x), np.trace(hessian), **close)
    np.testing.assert_allclose(tgk.partial(f, 0, 1)(x), hessian[0, 1], **close)
    sparse = tgk.sparse_jacobian(tgk.gradient(f))(x)
    np.testing.assert_allclose(sparse.toarray(), hessian, **close)


def test_a_linear_network_of_one_input_has_the_product_of_its_weights_as_gradient():
    """A hidden layer with a linear transfer function: the gradient is Σ vᵢ wᵢ at every point."""
    model = build(
        lambda: keras.Sequential(
            [keras.Input((1,), dtype="float64"), keras.layers.Dense(10), keras.layers.Dense(1, use_bias=False)]
        ),
        "float64",
    )
    w, _, v = model.get_weights()
    gradient = tgk.gradient(model)(np.linspace(-3, 3, 7)[:, None])
    np.testing.assert_allclose(gradient, np.full((7, 1), (w @ v).item()), rtol=1e-13)
    by_weights = tgk.gradient(model, wrt="parameters")(np.array([[2.0]]))
    np.testing.assert_allclose(by_weights[0][0], 2.0 * v.T, rtol=1e-13)
    np.testing.assert_allclose(by_weights[1][0], v[:, 0], rtol=1e-13)
    np.testing.assert_allclose(by_weights[2][0], 2.0 * w.T + model.get_weights()[1][:, None], rtol=1e-13)


@pytest.fixture(scope="module")
def jax():
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    jax = pytest.importorskip("jax", reason="JAX, the second implementation, is not installed")
    jax.config.update("jax_enable_x64", True)
    return jax


def jax_network(jax, model):
    weights = model.get_weights()
    layers = list(zip(weights[::2], weights[1::2], strict=True))

    def call(x):
        for w, b in layers[:-1]:
            x = jax.numpy.tanh(x @ w + b)
        return x @ layers[-1][0] + layers[-1][1]

    return call


def test_the_same_network_in_jax(jax):
    model = build(mlp(4, 3, 16), "float64")
    f, x = jax_network(jax, model), RNG.normal(size=(6, 4))
    u, v = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 4))
    close = {"rtol": 1e-11, "atol": 1e-13}
    np.testing.assert_allclose(tgk.jacobian(model)(x), jax.vmap(jax.jacrev(f))(x), **close)
    np.testing.assert_allclose(tgk.hessian(model)(x), jax.vmap(jax.hessian(f))(x), **close)
    np.testing.assert_allclose(tgk.jvp(model)(x, tangents=v), jax.jvp(f, (x,), (v,))[1], **close)
    np.testing.assert_allclose(tgk.vjp(model)(x, output_gradients=u), jax.vjp(f, x)[1](u)[0], **close)
    laplacian = jax.vmap(lambda z: jax.numpy.trace(jax.hessian(f)(z), axis1=-2, axis2=-1))(x)
    np.testing.assert_allclose(tgk.laplacian(model)(x), laplacian, **close)
    third = jax.vmap(jax.jacfwd(jax.hessian(f)))(x)
    np.testing.assert_allclose(tgk.partial(model, 0, 1, 2)(x), third[:, :, 0, 1, 2], **close)
