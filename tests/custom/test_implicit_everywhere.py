"""Implicit functions inside of everything: functions of a graph, XLA, Keras, SavedModels, the C library."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import ConvergenceError

DOUBLE = tf.float64
P = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]])


def residual(u, p):
    x, y = u[:, 0], u[:, 1]
    return tf.stack([x**3 + x + 0.5 * y - p[:, 0], y**3 + 2 * y - 0.3 * x - p[:, 1]], 1)


SOLVE = tgk.implicit(residual, initial=[1.0, 1.0], batched=True)


@pytest.fixture(scope="module")
def reference():
    """u and ∂u/∂p by the formula, from NumPy."""
    u = SOLVE(P).numpy()
    a = np.stack([[[3 * x**2 + 1, 0.5], [-0.3, 3 * y**2 + 2]] for x, y in u])
    return u, np.linalg.inv(a)


@pytest.mark.parametrize(("linear_solver", "compiled"), [("dense", False), ("gmres", True)])
def test_in_a_function_with_a_tape_inside(reference, linear_solver, compiled):
    solve = tgk.implicit(residual, initial=[1.0, 1.0], batched=True, linear_solver=linear_solver)

    @tf.function(jit_compile=compiled)
    def step(p):
        with tf.GradientTape() as tape:
            tape.watch(p)
            u = solve(p)
        return u, tape.gradient(u, p)

    u, gradient = step(tf.constant(P))
    np.testing.assert_allclose(u, reference[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, reference[1].sum(1), rtol=1e-10)


def test_jacobian_compiled_by_xla(reference):
    np.testing.assert_allclose(tgk.jacobian(SOLVE, jit_compile=True)(P), reference[1], rtol=1e-12)


def test_of_one_sample_vectorized_over_many(reference):
    single = tgk.implicit(lambda u, p: residual(u[None], p[None])[0], initial=[1.0, 1.0])
    rows = tf.function(lambda p: tf.vectorized_map(single, p), autograph=False)(tf.constant(P))
    np.testing.assert_allclose(rows, reference[0], rtol=1e-12)


class Module(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 2], DOUBLE)])
    def __call__(self, p):
        return SOLVE(p)


def test_saved_models_carry_it_and_its_derivatives_into_other_processes(reference, tmp_path):
    tgk.export_saved_model(SOLVE, tmp_path / "exported", ("jacobian",), input_specs=tf.TensorSpec([None, 2], DOUBLE))
    tf.saved_model.save(Module(), str(tmp_path / "saved"))
    np.save(tmp_path / "p.npy", P)
    code = """
import numpy as np, sys, tensorflow as tf
p = tf.constant(np.load("p.npy"))
jacobian = tf.saved_model.load("exported").signatures["jacobian"](x=p)
solve = tf.saved_model.load("saved")
with tf.GradientTape() as tape:
    tape.watch(p)
    u = solve(p)
assert not any(name.startswith("tfgradkit") for name in sys.modules)
np.savez("found.npz", u=u, gradient=tape.gradient(u, p), **{name: t.numpy() for name, t in jacobian.items()})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_allclose(found["u"], reference[0], rtol=1e-13)
    np.testing.assert_allclose(found["gradient"], reference[1].sum(1), rtol=1e-12)
    np.testing.assert_allclose(found["jacobian"], reference[1], rtol=1e-12)


class Equilibrium(keras.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(4, 4), initializer=keras.initializers.RandomNormal(stddev=0.2, seed=1))
        self.inject = keras.layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(seed=2))
        self.inject.build(shape)

    def call(self, x):
        solve = tgk.implicit(lambda z, x: z - tf.tanh(tf.matmul(z, self.kernel) + x), batched=True)
        return solve(self.inject(x))


def test_a_layer_trains_its_weights():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), Equilibrium(), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    y = np.sin(x.sum(1, keepdims=True))
    layer = model.layers[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    slope = tape.gradient(loss, layer.kernel.value).numpy()
    np.testing.assert_allclose(slope, unrolled_slope(model, x, y), rtol=2e-3, atol=1e-6)
    before = layer.kernel.numpy()
    model.compile(keras.optimizers.Adam(0.05), "mse")
    history = model.fit(x, y, batch_size=32, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    assert np.abs(layer.kernel.numpy() - before).min() > 0


def test_samples_are_known_to_stay_apart_in_a_model_around_it():
    model = keras.Sequential([keras.Input((3,)), Equilibrium(), keras.layers.Dense(1)])
    assert tgk.check_batch_independence(model, np.ones((2, 3), "float32")).status == "proven"


def unrolled_slope(model, x, y):
    """The same by backpropagation through 60 turns of the fixed-point iteration."""
    layer = model.layers[0]
    with tf.GradientTape() as tape:
        z = injected = layer.inject(x)
        for _ in range(60):
            z = tf.tanh(tf.matmul(z, layer.kernel) + injected)
        loss = tf.reduce_mean((model.layers[1](z) - y) ** 2)
    return tape.gradient(loss, layer.kernel.value).numpy()


def test_a_fixed_number_of_steps_becomes_a_c_library(tmp_path):
    solve = tgk.implicit(
        lambda u, p: u**3 + p[:, :1] * u - p[:, 1:], initial=[1.0], batched=True, iterations=4, tolerance=1e-6
    )
    spec = tf.TensorSpec([None, 2], DOUBLE)
    points = np.random.default_rng(0).uniform([1.0, 1.5], [1.2, 2.2], (5, 2))
    y, jacobian = tgk.value_and_jacobian(solve)(points)
    np.testing.assert_allclose(y**3 + points[:, :1] * y, points[:, 1:], rtol=1e-12)
    library = tgk.export_native(
        solve,
        tmp_path / "cubic",
        "cubic",
        targets=("x86-64",),
        input_specs=spec,
        ranges={"x": ([1.0, 1.5], [1.2, 2.2])},
        tile=8,
    )
    found = library.value_and_jacobian(points)
    np.testing.assert_allclose(found[0], y, rtol=1e-13)
    np.testing.assert_allclose(found[1], jacobian, rtol=1e-12)
    with pytest.warns(RuntimeWarning, match="not finite"):
        assert np.isnan(library.value(np.array([[0.0, 1e9]]))).all()


def test_too_few_steps_for_the_recorded_points_are_said_so(tmp_path):
    solve = tgk.implicit(lambda u, p: u**3 - p, initial=[1.0], batched=True, iterations=1, tolerance=1e-9)
    spec = tf.TensorSpec([None, 1], DOUBLE)
    with pytest.raises(ConvergenceError):
        tgk.export_native(solve, tmp_path / "root", "root", input_specs=spec, ranges={"x": ([50.0], [60.0])})
    assert list(tmp_path.iterdir()) == []


def test_a_solve_with_its_loops_in_a_library(reference, tmp_path):
    spec = tf.TensorSpec([None, 2], DOUBLE)
    library = tgk.export_native(SOLVE, tmp_path / "loop", "loop", input_specs=spec, targets=["host"], tile=2)
    u, jacobian = library.value_and_jacobian(P)
    np.testing.assert_allclose(u, reference[0], rtol=1e-12)
    np.testing.assert_allclose(jacobian, reference[1], rtol=1e-10)
