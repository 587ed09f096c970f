"""Operators under operators, ``tf.function``, XLA and outer tapes; traces; custom gradients; training."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk

X = np.random.default_rng(4).uniform(0.3, 1.2, (3, 2))
V = np.random.default_rng(5).normal(size=(3, 2))


def wave(x):
    """A scalar-valued function whose derivatives of any order are known."""
    return tf.sin(x[..., 0]) * tf.exp(2 * x[..., 1])


def wave_derivative(order):
    """All partials of ``wave`` of one order at X: [3, 2, 2, …]."""
    sines = [np.sin, np.cos, lambda a: -np.sin(a), lambda a: -np.cos(a)]
    result = np.empty((3, *[2] * order))
    for axes in np.ndindex(*[2] * order):
        second = sum(axes)
        result[(slice(None), *axes)] = sines[order - second](X[:, 0]) * 2**second * np.exp(2 * X[:, 1])
    return result


def nested(operators):
    fn = wave
    for operator in reversed(operators):
        fn = getattr(tgk, operator)(fn, batched=True)
    return fn


WAYS = {
    "from_Python": lambda derivative: derivative,
    "in_a_tf_function": tf.function,
    "in_a_compiled_tf_function": lambda derivative: tf.function(derivative, jit_compile=True),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inner", ["gradient", "jacobian"])
def test_jacobian_of_a_first_derivative_is_the_hessian(inner, way):
    derivative = nested(["jacobian", inner])
    result = WAYS[way](derivative)(tf.constant(X))
    np.testing.assert_allclose(result, wave_derivative(2), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(result, tgk.hessian(wave, batched=True)(X), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("operators", [("jacobian", "hessian"), ("hessian", "gradient")], ids="_of_".join)
def test_third_derivative_is_the_closed_form(operators):
    # In a tf.function: from Python the same takes four times as long to trace.
    result = tf.function(nested(operators))(tf.constant(X))
    np.testing.assert_allclose(result, wave_derivative(3), rtol=1e-12, atol=1e-13)


OPERATORS = {
    "gradient": ({}, wave_derivative(1)),
    "jacobian": ({}, wave_derivative(1)),
    "hessian": ({}, wave_derivative(2)),
    "vjp": ({"output_gradients": V[:, 0]}, V[:, :1] * wave_derivative(1)),
    "jvp": ({"tangents": V}, np.einsum("bi,bi->b", wave_derivative(1), V)),
    "hvp": ({"tangents": V}, np.einsum("bij,bj->bi", wave_derivative(2), V)),
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_compiled_operator_is_the_closed_form(operator):
    seeds, expected = OPERATORS[operator]
    derivative = getattr(tgk, operator)(wave, batched=True, jit_compile=True)
    np.testing.assert_allclose(derivative(X, **seeds), expected, rtol=1e-12, atol=1e-13)
    seeds = {name: seed[:2] for name, seed in seeds.items()}
    np.testing.assert_allclose(derivative(X[:2], **seeds), expected[:2], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "compiled"])
def test_function_closing_over_a_tensor_of_the_outer_function(compiled):
    @tf.function(jit_compile=compiled)
    def outer(x, scale):
        squared = scale * scale
        return tgk.jacobian(lambda x: squared * wave(x), batched=True)(x)

    for scale in (2.0, 3.0):
        result = outer(tf.constant(X), tf.constant(scale, tf.float64))
        np.testing.assert_allclose(result, scale**2 * wave_derivative(1), rtol=1e-12)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("way", ["from_Python", "in_a_tf_function"])
def test_outer_tape_differentiates_by_the_input(operator, way):
    seeds, _ = OPERATORS[operator]
    seeds = {name: tf.constant(seed) for name, seed in seeds.items()}
    derivative = getattr(tgk, operator)(wave, batched=True)
    call = WAYS[way](derivative)
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = call(x, **seeds)
    got = tape.gradient(result, x)
    third = wave_derivative(3)
    expected = {
        "gradient": wave_derivative(2).sum(1),
        "jacobian": wave_derivative(2).sum(1),
        "hessian": third.sum((1, 2)),
        "vjp": V[:, :1] * wave_derivative(2).sum(1),
        "jvp": np.einsum("bij,bi->bj", wave_derivative(2), V),
        "hvp": np.einsum("bijk,bj->bk", third, V),
    }[operator]
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("operator", ["value_and_jacobian", "value_gradient_and_hessian"])
@pytest.mark.parametrize("way", ["from_Python", "in_a_tf_function", "in_a_compiled_tf_function"])
def test_outer_tape_differentiates_by_the_weights(operator, way):
    model = build(mlp(2, 1, width=3), "float64")
    call = WAYS[way](getattr(tgk, operator)(model))
    x = tf.constant(X)

    def loss():
        return tf.add_n([tf.reduce_sum(tf.sin(part)) for part in call(x)])

    with tf.GradientTape() as tape:
        y = loss()
    gradients = tape.gradient(y, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        start, along = variable.numpy(), np.random.default_rng(6).normal(size=variable.shape)

        def at(step, variable=variable, start=start, along=along):
            variable.assign(start + step * along)
            return loss().numpy()

        h = 1e-3
        quotient = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        variable.assign(start)
        np.testing.assert_allclose(np.sum(gradient * along), quotient, rtol=1e-9, atol=1e-9, err_msg=variable.path)


def test_same_signature_traces_once_whatever_the_batch():
    runs = []

    def counted(x):
        runs.append(x.shape)
        return x**3

    derivative = tgk.jacobian(counted, batched=True)
    derivative(np.ones((4, 2)))
    first = len(runs)
    for count in (4, 1, 0, 7):
        derivative(np.full((count, 2), 2.0))
    assert (len(runs), derivative.trace_count) == (first, 1)
    derivative(np.ones((4, 2), "float32"))
    derivative(np.ones((4, 3)))
    assert derivative.trace_count == 3
    assert len(runs) > first


@tf.custom_gradient
def _sevenfold(x):
    return tf.sin(x), lambda u: 7 * u * tf.cos(x)


@pytest.mark.parametrize("way", WAYS)
def test_custom_gradient_is_honoured_in_both_modes(way):
    x = tf.constant([0.3, 0.7], tf.float64)
    slope, v = 7 * np.cos(x), tf.constant([2.0, -1.0], tf.float64)
    fn = lambda x: _sevenfold(x)  # noqa: E731
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(WAYS[way](tgk.jacobian(fn, mode=mode))(x), np.diag(slope), rtol=1e-14)
    np.testing.assert_allclose(WAYS[way](tgk.jvp(fn))(x, tangents=v), slope * v, rtol=1e-14)
    np.testing.assert_allclose(WAYS[way](tgk.vjp(fn))(x, output_gradients=v), slope * v, rtol=1e-14)
    np.testing.assert_allclose(WAYS[way](tgk.hessian(lambda x: tf.reduce_sum(fn(x))))(x), np.diag(-7 * np.sin(x)))


def test_tensorflows_own_forward_mode_ignores_a_custom_gradient():
    # The reason why jvp is built from reverse mode. When this fails, TensorFlow has been repaired.
    x = tf.constant([0.3, 0.7], tf.float64)
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        y = _sevenfold(x)
    np.testing.assert_allclose(accumulator.jvp(y), np.cos(x), rtol=1e-14)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "compiled"])
def test_training_on_slopes_finds_the_known_solution(compiled):
    model = build(mlp(1, 1, width=8), "float32")
    derivative = tgk.value_and_gradient(model)
    optimizer = keras.optimizers.Adam(0.02)
    optimizer.build(model.trainable_variables)
    x = tf.linspace([-1.5], [1.5], 32)

    @tf.function(jit_compile=compiled)
    def step():
        with tf.GradientTape() as tape:
            y, slope = derivative(x)
            # The value is given at one point alone; everything else has to come from the slopes of sin.
            loss = tf.reduce_mean((slope - tf.cos(x)) ** 2) + (y[0] - tf.sin(-1.5)) ** 2
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    first = step().numpy()
    for _ in range(500):
        last = step().numpy()
    assert last < 1e-3 < first
    np.testing.assert_allclose(model(x), tf.sin(x), atol=0.05)


TRAINING = """
    import sys
    from pathlib import Path
    import numpy as np, tensorflow as tf
    from models import build, mlp
    import tfgradkit as tgk
    model = build(mlp(2, 3, width=4), "float32")
    derivative = getattr(tgk, sys.argv[1])(model)
    variables = [v.value for v in model.trainable_variables]
    @tf.function(jit_compile=True)
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_mean(part ** 2) for part in derivative(x)])
        for variable, gradient in zip(variables, tape.gradient(loss, variables)):
            variable.assign_sub(0.01 * gradient)
        return loss
    x = tf.constant(np.random.default_rng(0).normal(size=(8, 2)), tf.float32)
    losses, counts = [], []
    for _ in range(5):
        losses.append(float(step(x)))
        counts.append(len(list(Path(sys.argv[2]).glob("module_*.before_optimizations.txt"))))
    assert losses == sorted(losses, reverse=True), losses
    assert counts == [counts[0]] * 5 and counts[0] > 0, counts
"""


@pytest.mark.parametrize("operator", ["value_and_jacobian", "value_gradient_and_hessian"])
def test_compiled_training_step_is_compiled_once(operator, tmp_path):
    tests = Path(__file__).parent.parent
    environment = {
        **os.environ,
        # XLA reads its flags once a process, and writes every program that it compiles.
        "XLA_FLAGS": f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text",
        "PYTHONPATH": os.pathsep.join([str(tests / "helpers"), str(tests.parent)]),
    }
    program = [sys.executable, "-c", textwrap.dedent(TRAINING), operator, str(tmp_path)]
    run = subprocess.run(program, env=environment, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
