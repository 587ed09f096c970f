"""The linear solvers behind implicit functions, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfgradkit.custom.implicit.batched_solvers import bicgstab, gmres, invert


def matrices(size, count=4, dtype="float64"):
    generator = np.random.default_rng(size)
    return (generator.normal(size=(count, size, size)) + 2 * size**0.5 * np.eye(size)).astype(dtype)


@pytest.mark.parametrize("size", [1, 2, 8, 9, 30])
def test_inverses(size):
    a = matrices(size)
    # Columns and rows in other units, and pivots that have to be looked for.
    a[1] = np.diag(10.0 ** np.linspace(-12, 12, size)) @ a[1][::-1]
    inverse, singular = invert(tf.constant(a))
    assert not singular.numpy().any()
    np.testing.assert_allclose(inverse @ a, np.tile(np.eye(size), (4, 1, 1)), atol=1e-11)


@pytest.mark.parametrize("size", [2, 8, 12])
def test_singular_matrices_are_told_from_the_others(size):
    a = matrices(size, 5)
    a[1, 0] = 0.0
    a[2, :, 0] = 0.3 * a[2, :, 1]
    a[3, 0, 0] = np.nan
    inverse, singular = invert(tf.constant(a))
    assert singular.numpy().tolist() == [False, True, True, True, False]
    np.testing.assert_allclose(inverse[::4] @ a[::4], np.tile(np.eye(size), (2, 1, 1)), atol=1e-12)


@pytest.mark.parametrize("solver", [gmres, bicgstab])
@pytest.mark.parametrize(("size", "dtype"), [(1, "float64"), (5, "float32"), (50, "float64")])
def test_krylov_solvers(solver, size, dtype):
    a = matrices(size, dtype=dtype)
    b = np.random.default_rng(0).normal(size=(4, size)).astype(dtype)
    b[2] = 0.0
    tolerance = float(np.finfo(dtype).eps) ** 0.75
    x = tf.function(lambda b: solver(lambda v: tf.linalg.matvec(a, v), b, tolerance), autograph=False)(tf.constant(b))
    expected = np.linalg.solve(a.astype("float64"), b[..., None])[..., 0]
    np.testing.assert_allclose(x, expected, rtol=1e4 * tolerance, atol=100 * tolerance)
    assert not x.numpy()[2].any()


def test_gmres_where_the_residual_falls_only_at_the_end():
    """A cyclic shift: no smaller Krylov space than the whole helps (Nachtigal, Reddy & Trefethen, 1992)."""
    size = 6
    shift = np.roll(np.eye(size), 1, 0)
    b = np.eye(1, size)
    x = gmres(lambda v: tf.linalg.matvec(shift, v), tf.constant(b), 1e-12)
    np.testing.assert_allclose(x, np.linalg.solve(shift, b[0])[None], atol=1e-12)


@pytest.mark.parametrize("solver", [gmres, bicgstab])
def test_what_is_not_solved_is_nan_and_the_other_samples_are(solver):
    a = np.stack([np.diag([1.0, 0.0]), np.diag([1.0, 2.0])])
    x = solver(lambda v: tf.linalg.matvec(a, v), tf.ones([2, 2], tf.float64), 1e-12).numpy()
    assert np.isnan(x[0]).all()
    np.testing.assert_allclose(x[1], [1.0, 0.5])
