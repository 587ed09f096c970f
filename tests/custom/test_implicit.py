"""Implicit functions against closed forms, finite differences, and the identities of adjoints."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

DOUBLE = tf.float64
ROOT = tgk.implicit(lambda u, p: u * u - p, initial=1.0)
CUBIC = tgk.implicit(lambda u, p: u**3 + p[:, :1] * u - p[:, 1:], initial=[1.0], batched=True)
KEPLER = tgk.implicit(lambda anomaly, mean, e: anomaly - e * tf.sin(anomaly) - mean, batched=True)
POINTS = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 40.0]])


def differences(f, x, h=1e-5):
    """Central differences of f by each element of x, as a last axis."""
    units = np.eye(x.size).reshape(-1, *x.shape)
    return np.stack([(np.asarray(f(x + h * e)) - np.asarray(f(x - h * e))) / (2 * h) for e in units], -1)


def bratu(size):
    h = 1 / (size + 1)

    def residual(u, strength):
        padded = tf.pad(u, [[1, 1]])
        return (padded[2:] - 2 * u + padded[:-2]) / h**2 + strength * tf.exp(u)

    return residual


def test_square_root_to_third_order():
    p = tf.constant(2.0, DOUBLE)
    assert float(ROOT(p)) == pytest.approx(2**0.5, rel=1e-15)
    assert float(tgk.gradient(ROOT)(p)) == pytest.approx(0.5 * 2**-0.5, rel=1e-14)
    assert float(tgk.hessian(ROOT)(p)) == pytest.approx(-0.25 * 2**-1.5, rel=1e-14)
    assert float(tgk.gradient(tgk.hessian(ROOT))(p)) == pytest.approx(3 / 8 * 2**-2.5, rel=1e-14)


def test_tapes_around_it_and_tensorflows_own_forward_mode():
    p = tf.constant(2.0, DOUBLE)
    with tf.GradientTape() as outer:
        outer.watch(p)
        with tf.GradientTape() as inner:
            inner.watch(p)
            y = ROOT(p)
        slope = inner.gradient(y, p)
    assert float(outer.gradient(slope, p)) == pytest.approx(-0.25 * 2**-1.5, rel=1e-14)
    with tf.autodiff.ForwardAccumulator(p, tf.ones([], DOUBLE)) as accumulator:
        y = ROOT(p)
    assert float(accumulator.jvp(y)) == pytest.approx(0.5 * 2**-0.5, rel=1e-14)


@pytest.mark.parametrize(("mode", "strategy"), [("forward", "vectorize"), ("reverse", "tile"), ("reverse", "loop")])
def test_keplers_equation(mode, strategy):
    mean, e = np.linspace(0.1, 3.0, 5), np.linspace(0.1, 0.9, 5)
    y, (by_mean, by_e) = tgk.value_and_jacobian(KEPLER, argnums=(0, 1), mode=mode, strategy=strategy)(mean, e)
    anomaly = y.numpy()
    np.testing.assert_allclose(anomaly - e * np.sin(anomaly), mean, rtol=1e-14)
    np.testing.assert_allclose(by_mean, 1 / (1 - e * np.cos(anomaly)), rtol=1e-13)
    np.testing.assert_allclose(by_e, np.sin(anomaly) / (1 - e * np.cos(anomaly)), rtol=1e-13)


def test_cubic_roots_by_differences_in_both_modes_and_to_second_order():
    def value(x):
        return CUBIC(x.reshape(POINTS.shape)).numpy()

    whole = differences(value, POINTS).reshape(3, 1, 3, 2)
    own = np.stack([whole[sample, :, sample] for sample in range(3)])
    np.testing.assert_allclose(tgk.jacobian(CUBIC)(POINTS), own, rtol=1e-8)
    gradient = tgk.gradient(CUBIC)
    whole = differences(lambda x: gradient(x).numpy(), POINTS).reshape(3, 2, 3, 2)
    own = np.stack([whole[sample, :, sample] for sample in range(3)])
    # Of differences over 2e-5, rounding alone is some 1e-11.
    np.testing.assert_allclose(tgk.hessian(CUBIC)(POINTS), own, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("linear_solver", ["dense", "gmres", "bicgstab", "of one's own"])
def test_bratus_equation(linear_solver):
    """u″ + s exp u = 0 between zeros: known in closed form, but for the error of the grid."""
    size = 12

    def by_columns(matvec, b):
        matrix = tf.stack([matvec(row[None])[0] for row in np.eye(size)], 1)
        return tf.linalg.solve(matrix, b[0][:, None])[None, :, 0]

    solver = by_columns if linear_solver == "of one's own" else linear_solver
    solve = tgk.implicit(bratu(size), initial=np.zeros(size), linear_solver=solver)
    found = solve(tf.constant(1.0, DOUBLE)).numpy()
    x = np.arange(1, size + 1) / (size + 1)
    np.testing.assert_allclose(found, bratus_curve(x, 1.0), rtol=5e-3)
    slope = differences(lambda s: solve(tf.constant(s[0], DOUBLE)), np.array([1.0]))[:, 0]
    one = tf.constant(1.0, DOUBLE)
    forward, reverse = tgk.jvp(solve)(one, tangents=one).numpy(), float(tgk.vjp(solve)(one, output_gradients=x))
    np.testing.assert_allclose(forward, slope, rtol=1e-7)
    assert reverse == pytest.approx(x @ forward, rel=1e-11)  # ⟨x, J·1⟩ = ⟨Jᵀx, 1⟩


def bratus_curve(x, strength):
    """u = −2 ln(cosh((x − ½)θ/2) / cosh(θ/4)) with θ = √(2s) cosh(θ/4)."""
    theta = 1.0
    for _ in range(100):
        theta = (2 * strength) ** 0.5 * np.cosh(theta / 4)
    return -2 * np.log(np.cosh((x - 0.5) * theta / 2) / np.cosh(theta / 4))


def test_a_linear_system_by_its_matrix_and_right_hand_side():
    matrix, right = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [-0.3, 0.1, 2.0]]), np.array([1.0, -2.0, 3.0])
    solve = tgk.implicit(lambda u, a, b: tf.linalg.matvec(a, u) - b, initial=np.zeros(3))
    inverse = np.linalg.inv(matrix)
    np.testing.assert_allclose(solve(matrix, right), inverse @ right, rtol=1e-14)
    by_matrix, by_right = tgk.jacobian(solve, argnums=(0, 1))(matrix, right)
    np.testing.assert_allclose(by_right, inverse, rtol=1e-13)
    np.testing.assert_allclose(by_matrix, -np.einsum("ij,k->ijk", inverse, inverse @ right), rtol=1e-13)


def test_nests_of_unknowns_and_parameters():
    def residual(u, p, power):
        return [u["a"] + tf.reduce_sum(u["b"]) - p["x"], u["b"] ** power - p["y"] - 0.1 * u["a"]]

    solve = tgk.implicit(residual, initial={"a": 1.0, "b": [1.0, 1.0]})
    given = {"x": tf.constant(2.0, DOUBLE), "y": tf.constant([3.0, 4.0], DOUBLE)}
    u = solve(given, 3)
    np.testing.assert_allclose(u["a"] + sum(u["b"].numpy()), 2.0, rtol=1e-14)
    np.testing.assert_allclose(u["b"] ** 3, given["y"] + 0.1 * u["a"], rtol=1e-14)
    blocks = tgk.jacobian(solve)(given, 3)

    def moved(s):
        found = solve({"x": tf.constant(2.0, DOUBLE), "y": tf.constant(s, DOUBLE)}, 3)
        return np.concatenate([[found["a"]], found["b"]])

    slope = differences(moved, np.array([3.0, 4.0]))
    np.testing.assert_allclose(blocks["a"]["y"], slope[0], rtol=1e-8)
    np.testing.assert_allclose(blocks["b"]["y"], slope[1:], rtol=1e-8)
    assert blocks["b"]["x"].shape == (2,)


def test_variables_and_closed_over_tensors_have_derivatives():
    weight = tf.Variable(3.0, dtype=DOUBLE)
    solve = tgk.implicit(lambda u, p: u * u - p * weight, initial=1.0)
    p = tf.constant(2.0, DOUBLE)
    with tf.GradientTape() as tape:
        y = solve(p)
    assert float(tape.gradient(y, weight)) == pytest.approx(2 / (2 * 6**0.5), rel=1e-14)
    (by_weight,) = tgk.jacobian(solve, wrt=[weight])(p)
    assert float(by_weight) == pytest.approx(2 / (2 * 6**0.5), rel=1e-14)
    weight.assign(8.0)
    assert float(solve(p)) == pytest.approx(4.0)

    def closing(q):
        return tgk.implicit(lambda u, p: u * u - p * q, initial=1.0)(p)

    assert float(tgk.gradient(closing)(tf.constant(3.0, DOUBLE))) == pytest.approx(2 / (2 * 6**0.5), rel=1e-14)
    # By weight and parameter, the second derivative is mixed.
    with tf.GradientTape() as tape:
        slope = tgk.gradient(solve)(p)
    assert float(tape.gradient(slope, weight)) == pytest.approx(0.25 * (2 * 8) ** -0.5, rel=1e-13)


def test_without_floating_parameters():
    weight = tf.Variable([4.0, 9.0], dtype=DOUBLE)
    solve = tgk.implicit(lambda u: u * u - weight, initial=np.ones(2))
    with tf.GradientTape() as tape:
        u = solve()
    np.testing.assert_allclose(tape.gradient(u, weight), [1 / 4, 1 / 6], rtol=1e-6)
    powers = tgk.implicit(lambda u, k: u**k - 8.0, initial=[1.0])
    np.testing.assert_allclose(powers(3), [2.0], rtol=1e-6)


def test_how_fast_one_sample_converges_changes_no_other():
    mean, e = np.array([0.3, 1.0, 3.0]), np.array([0.1, 0.05, 0.1])
    alone = [KEPLER(mean[i : i + 1], e[i : i + 1]).numpy()[0] for i in range(3)]
    slow = KEPLER(np.append(mean, 0.03), np.append(e, 0.999)).numpy()
    np.testing.assert_allclose(slow[:3], alone, rtol=1e-15)
    steps = KEPLER.solve(np.append(mean, 0.03), np.append(e, 0.999)).iterations.numpy()
    assert steps[3] > steps[:3].max()


def test_batches_of_any_size_take_one_trace():
    solve = tgk.implicit(lambda u, p: u * u - p, lambda p: tf.sqrt(p), batched=True)
    for size in (3, 1, 0):
        np.testing.assert_allclose(solve(np.full(size, 4.0)), np.full(size, 2.0))
    assert len(solve._traces) == 1
    assert CUBIC(np.zeros((0, 2))).shape == (0, 1)


def test_single_precision_is_reached_as_far_as_it_goes():
    solution = CUBIC.solve(POINTS.astype("float32"))
    np.testing.assert_allclose(solution.u, CUBIC(POINTS), rtol=5e-7)
    assert solution.u.dtype == tf.float32
    assert solution.converged.numpy().all()
    assert ROOT(2.0).dtype == tf.float32


def test_the_units_of_unknown_and_equations_do_not_matter():
    """The same system with u in micro-units and equations in giga-units takes the same steps."""

    def scaled(of_u, of_r):
        def residual(u, p):
            v = u / of_u
            return of_r * tf.stack([v[0] ** 2 + v[1] - p[0], v[1] ** 3 + v[0] * v[1] - p[1]])

        return tgk.implicit(residual, initial=np.array([1.0, 1.0]) * of_u)

    p = np.array([2.0, 3.0])
    plain, micro = scaled(1.0, 1.0).solve(p), scaled(1e-6, 1e9).solve(p)
    np.testing.assert_allclose(micro.u * 1e6, plain.u, rtol=1e-12)
    assert int(micro.iterations) == int(plain.iterations)


def test_the_start_may_depend_on_the_parameters_and_picks_the_root():
    negative = tgk.implicit(lambda u, p: u * u - p, initial=lambda p: -p - 1.0)
    assert float(negative(tf.constant(4.0, DOUBLE))) == pytest.approx(-2.0)
    assert float(tgk.gradient(negative)(tf.constant(4.0, DOUBLE))) == pytest.approx(-0.25)


def test_damping_reaches_where_whole_steps_diverge():
    """atan: Newton's whole steps from 3 run away."""
    solve = tgk.implicit(lambda u, p: tf.atan(u) - p, initial=3.0)
    assert float(solve(tf.constant(0.5, DOUBLE))) == pytest.approx(np.tan(0.5), rel=1e-14)
    # The logarithm is not defined where a whole step leads.
    solve = tgk.implicit(lambda u, p: tf.math.log(u) - p, initial=50.0)
    assert float(solve(tf.constant(0.5, DOUBLE))) == pytest.approx(np.exp(0.5), rel=1e-14)


def test_a_rule_of_the_users_is_heeded_while_it_is_in_force():
    solve = tgk.implicit(lambda u, p: u - tf.sin(p))
    p = tf.constant([0.3, 1.2], tf.float64)

    def slope():
        with tf.GradientTape() as tape:
            tape.watch(p)
            u = solve(p)
        return tape.gradient(u, p)

    np.testing.assert_allclose(slope(), np.cos(p))
    with tgk.register_gradient("Sin", lambda op, upstream: 7 * upstream, replace=True):
        np.testing.assert_allclose(slope(), [7, 7])
    np.testing.assert_allclose(slope(), np.cos(p))
