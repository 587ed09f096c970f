"""What an implicit function says where there is no root, or no system to solve."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import ConvergenceError, GradientError, SignatureError

DOUBLE = tf.float64
GAP = tgk.implicit(lambda u, p: u * u + p, initial=[1.0], batched=True)  # no root for p > 0


def test_no_root_is_an_error_with_sample_norm_and_iterations():
    with pytest.raises(ConvergenceError) as caught:
        GAP(np.array([[-4.0], [0.7], [-1.0]]))
    error = caught.value
    assert error.sample == 1
    assert error.norm >= 0.7
    assert error.iterations >= 1
    for word in ("implicit(<lambda>)", "sample 1", "residual of", "1 of 3 samples failed", "initial="):
        assert word in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.sample, again.norm, str(again)) == (error.sample, error.norm, str(error))


def test_too_few_steps_are_an_error():
    slow = tgk.implicit(lambda u, p: tf.exp(u) - p, initial=0.0, max_iterations=3)
    with pytest.raises(ConvergenceError, match="no root was found in 3 Newton steps") as caught:
        slow(tf.constant(100.0, DOUBLE))
    assert (caught.value.iterations, caught.value.sample) == (3, None)


def test_operators_raise_the_same():
    with pytest.raises(ConvergenceError, match=r"implicit\(<lambda>\)") as caught:
        tgk.jacobian(GAP)(np.array([[-4.0], [0.7]]))
    assert caught.value.sample == 1
    assert caught.value.norm >= 0.7


def test_in_a_graph_an_assertion_says_it_and_under_xla_the_result_is_nan():
    p = tf.constant([[-4.0], [0.7]], DOUBLE)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"tfgradkit: .*implicit"):
        tf.function(GAP)(p)
    compiled = tf.function(GAP, jit_compile=True)(p).numpy()
    assert compiled[0, 0] == pytest.approx(2.0)
    assert np.isnan(compiled[1, 0])


def test_nan_or_the_last_iterate_where_asked_for():
    p = np.array([[-4.0], [0.7]])
    some = tgk.implicit(lambda u, p: u * u + p, initial=[1.0], batched=True, unconverged="nan")
    kept = tgk.implicit(lambda u, p: u * u + p, initial=[1.0], batched=True, unconverged="keep")
    assert np.isnan(some(p).numpy()).ravel().tolist() == [False, True]
    assert np.isfinite(kept(p).numpy()).all()
    jacobian = tgk.jacobian(some)(p).numpy()
    assert jacobian[0, 0, 0] == pytest.approx(-0.25)
    assert np.isnan(jacobian[1, 0, 0])
    solution = GAP.solve(p)
    assert solution.converged.numpy().tolist() == [True, False]
    assert solution.residual.numpy()[1] >= 0.7


def singular(u, p):
    return tf.stack([u[0] + 2 * u[1] - p, 2 * u[0] + 4 * u[1] - p])


@pytest.mark.parametrize("linear_solver", ["dense", "gmres"])
def test_a_singular_jacobian_is_an_error(linear_solver):
    solve = tgk.implicit(singular, initial=[0.0, 0.0], linear_solver=linear_solver)
    with pytest.raises(ConvergenceError, match="Jacobian of the residual by the unknown is singular"):
        solve(tf.constant(1.0, DOUBLE))


def test_a_singular_jacobian_of_many_unknowns_fails_for_its_sample_alone():
    matrix = np.eye(12) + 0.1
    broken = matrix.copy()
    broken[3] = broken[4]
    solve = tgk.implicit(
        lambda u, a: tf.linalg.matvec(a, u) - 1.0, initial=np.zeros(12), batched=True, unconverged="nan"
    )
    found = solve(np.stack([matrix, broken, np.zeros((12, 12))])).numpy()
    np.testing.assert_allclose(found[0], np.linalg.solve(matrix, np.ones(12)), rtol=1e-13)
    assert np.isnan(found[1:]).all()


def test_parameters_that_are_not_finite():
    with pytest.raises(ConvergenceError, match="the residual is not finite") as caught:
        GAP(np.array([[-4.0], [np.nan]]))
    assert caught.value.sample == 1


def test_a_solvers_result_is_checked():
    solve = tgk.implicit(lambda u, p: u**3 + u - p, lambda p: p, batched=True)
    with pytest.raises(ConvergenceError, match="what the solver returned is no root") as caught:
        solve(np.array([0.0, 2.0]))
    assert caught.value.sample == 1
    assert caught.value.norm == pytest.approx(8.0)
    loose = tgk.implicit(lambda u, p: u**3 + u - p, lambda p: p, batched=True, tolerance=1.0)
    np.testing.assert_allclose(loose(np.array([0.0, 2.0])), [0.0, 2.0])


def test_a_solver_in_numpy():
    def solver(p):
        roots = tf.numpy_function(lambda a: np.array([np.roots([1, 0, 1, -x])[-1].real for x in a]), [p], DOUBLE)
        return tf.ensure_shape(roots, p.shape)

    solve = tgk.implicit(lambda u, p: u**3 + u - p, solver, batched=True)
    p = np.array([2.0, 10.0])
    np.testing.assert_allclose(solve(p), [1.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(tgk.gradient(solve)(p), [1 / 4, 1 / 13], rtol=1e-12)
    np.testing.assert_allclose(tgk.hessian(solve)(p), [-6 / 4**3, -12 / 13**3], rtol=1e-12)
    shapeless = tgk.implicit(lambda u, p: u - p, lambda p: tf.numpy_function(np.copy, [p], DOUBLE), batched=True)
    with pytest.raises(SignatureError, match="ensure_shape"):
        shapeless(p)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tgk.implicit(lambda u, p: u[:1] - p, initial=[0.0, 0.0])(1.0), "as many elements"),
        (lambda: tgk.implicit(lambda u, p: tf.reduce_sum(u - p), batched=True)(np.ones((3, 1))), "as many elements"),
        (lambda: tgk.implicit(lambda u, p: tf.cast(u, tf.float64) - 1, initial=0.0)(1.0), "another dtype"),
        (lambda: tgk.implicit(lambda u, p: u - 1)(3), "nothing that the unknown could be like"),
        (lambda: tgk.implicit(lambda u, p: u - p, initial=[1, 2])(3.0), "not floating"),
        (lambda: tgk.implicit(lambda u, p: u - p, linear_solver="lu"), '"gmres"'),
        (lambda: tgk.implicit(lambda u, p: u - p, unconverged="stop"), '"keep"'),
        (lambda: tgk.implicit(lambda u, p: u - p, max_iterations=0), "max_iterations"),
        (lambda: tgk.implicit(lambda u, p: u - p, tolerance=-1.0), "tolerance"),
        (lambda: tgk.implicit(lambda u, p: u - p, lambda p: p, initial=1.0), "solver= alone"),
        (lambda: tgk.implicit(lambda u, p: u - p, "newton"), "solver is no function"),
        (lambda: tgk.jacobian(GAP, batched=False), "batched"),
    ],
    ids=[
        "too few equations",
        "no batch axis",
        "dtype",
        "integers alone",
        "integer start",
        "linear solver",
        "unconverged",
        "iterations",
        "tolerance",
        "solver and start",
        "solver's type",
        "batched",
    ],
)
def test_wrong_use_is_an_error_that_says_what_to_do(make, words):
    with pytest.raises(SignatureError) as caught:
        make()
    assert words in str(caught.value)


def test_samples_that_influence_each_other_are_refused():
    mixed = tgk.implicit(lambda u, p: u - tf.reduce_mean(u) + 0.1 * u - p, batched=True)
    with pytest.raises(GradientError, match="influence each other"):
        mixed(np.ones((3, 2)))
