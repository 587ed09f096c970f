"""One convention for complex numbers: holomorphic functions have their complex derivative, in every operator."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError

Z = np.array([1 + 2j, 0.5 - 1j, -0.3 + 0.2j])
V = np.array([0.3 - 1j, 2 + 0.5j, 1j])
HOLOMORPHIC = {
    "times i": (lambda z: 1j * z, lambda z: 1j + 0 * z, lambda z: 0 * z),
    "square": (lambda z: (2 - 1j) * z**2, lambda z: (4 - 2j) * z, lambda z: (4 - 2j) + 0 * z),
    "exp": (lambda z: tf.exp(1j * z), lambda z: 1j * np.exp(1j * z), lambda z: -np.exp(1j * z)),
}


@pytest.mark.parametrize(("f", "slope", "bend"), HOLOMORPHIC.values(), ids=HOLOMORPHIC)
def test_a_holomorphic_function_has_its_derivative_in_every_operator(f, slope, bend):
    def close(found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)

    jacobian, total = np.diag(slope(Z)), lambda z: tf.reduce_sum(f(z))
    for mode in ("auto", "forward", "reverse"):
        close(tgk.jacobian(f, mode=mode)(Z), jacobian)
        close(tgk.hessian(total, mode=mode)(Z), np.diag(bend(Z)))
    for strategy in ("vectorize", "loop"):
        close(tgk.jacobian(f, strategy=strategy)(Z), jacobian)
    close(tgk.jvp(f)(Z, tangents=V), slope(Z) * V)
    close(tgk.vjp(f)(Z, output_gradients=V), slope(Z) * V)
    close(tgk.gradient(total)(Z), slope(Z))
    close(tgk.hvp(total)(Z, tangents=V), bend(Z) * V)
    close(tgk.sparse_jacobian(f, pattern=np.eye(3))(Z).toarray(), jacobian)
    y, linear = tgk.linearize(f)(Z)
    close(y, f(tf.constant(Z)))
    close(linear.matvec(V), slope(Z) * V)
    close(linear.rmatvec(V), slope(Z) * V)
    close(linear.T.matvec(V), slope(Z) * V)
    close(linear.to_dense(), jacobian)
    close(linear.as_linear_operator().H @ V, jacobian.conj().T @ V)
    close(tgk.jacobian(f, batched=True)(Z[:, None]), slope(Z)[:, None, None])


def test_seeds_and_tangents_agree_for_every_function():
    """Re(uᵀJ v) = Re(u · Jv)."""
    for f in (lambda z: z * tf.math.conj(z) ** 2, lambda z: tf.cast(tf.abs(z), tf.complex128) + 1j * z):
        u = V[::-1] + 0.1
        forward, reverse = tgk.jvp(f)(Z, tangents=V), tgk.vjp(f)(Z, output_gradients=u)
        np.testing.assert_allclose(np.sum(np.real(u * forward)), np.sum(np.real(reverse * V)), rtol=1e-12)


def test_real_values_of_complex_arguments():
    def f(z):
        return tf.math.real(z * tf.math.conj(z))

    expected = np.diag(2 * Z.conj())  # ∂y/∂Re z − i ∂y/∂Im z
    for mode in ("auto", "reverse"):
        np.testing.assert_allclose(tgk.jacobian(f, mode=mode)(Z), expected, rtol=1e-12)
    with pytest.raises(GradientError, match="would be lost"):
        tgk.jacobian(f, mode="forward")(Z)
    # The gradient is TensorFlow's: the direction of steepest ascent.
    np.testing.assert_allclose(tgk.gradient(lambda z: tf.reduce_sum(f(z)))(Z), 2 * Z, rtol=1e-12)
    with pytest.raises(GradientError, match="holomorphic"):
        tgk.hessian(lambda z: tf.reduce_sum(f(z)))(Z)


def test_complex_values_of_real_arguments():
    x = np.array([0.3, 0.7])

    def f(x):
        return tf.exp(1j * tf.cast(x, tf.complex128))

    expected = np.diag(1j * np.exp(1j * x))
    for mode in ("auto", "forward"):
        np.testing.assert_allclose(tgk.jacobian(f, mode=mode)(x), expected, rtol=1e-12)
    np.testing.assert_allclose(tgk.jvp(f)(x, tangents=x), expected @ x, rtol=1e-12)
    with pytest.raises(GradientError, match="would be lost"):
        tgk.jacobian(f, mode="reverse")(x)
    with pytest.raises(GradientError, match="complex values of real arguments"):
        tgk.gradient(lambda x: tf.reduce_sum(f(x)))(x)
    bend = tgk.hessian(lambda x: tf.reduce_sum(f(x)))(x)
    np.testing.assert_allclose(bend, np.diag(-np.exp(1j * x)), rtol=1e-12)
