"""Operators in pipelines, on several devices, in mixed precision, by weights, and of operators over structures."""

from __future__ import annotations

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

L = keras.layers
X = np.random.default_rng(0).uniform(0.2, 0.9, (3, 2))


def test_third_order_over_structures():
    """∂³/∂a∂b∂c of sin(a) b² exp(c), of inputs in a dict, one operator at a time."""
    f = lambda x: tf.sin(x["a"]) * x["b"] ** 2 * tf.exp(x["c"])  # noqa: E731
    point = {name: X[:, 0] * k for name, k in (("a", 1.0), ("b", 0.5), ("c", -1.0))}

    def third(x):
        first = tgk.gradient(f, batched=True)
        second = tgk.gradient(lambda z: first(z)["a"], batched=True)
        return tgk.gradient(lambda z: second(z)["b"], batched=True)(x)

    result = tf.function(third)({name: tf.constant(value) for name, value in point.items()})
    a, b, c = point["a"], point["b"], point["c"]
    np.testing.assert_allclose(result["a"], -np.sin(a) * 2 * b * np.exp(c), rtol=1e-12)
    np.testing.assert_allclose(result["b"], np.cos(a) * 2 * np.exp(c), rtol=1e-12)
    np.testing.assert_allclose(result["c"], np.cos(a) * 2 * b * np.exp(c), rtol=1e-12)


def test_in_a_data_pipeline():
    model = build(mlp(2, 3, 4), "float64")
    derivative = tgk.jacobian(model)
    batches = list(tf.data.Dataset.from_tensor_slices(X).batch(2).map(derivative))
    assert [batch.shape[0] for batch in batches] == [2, 1]
    np.testing.assert_allclose(np.concatenate(batches), derivative(X), rtol=1e-13)


MIRRORED = """
    import tensorflow as tf
    cpus = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    import keras, numpy as np
    from models import build, mlp
    import tfgradkit as tgk
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        model = build(mlp(2, 3, 4), "float64")
        derivative = tgk.value_and_jacobian(model)
    x = np.random.default_rng(0).normal(size=(4, 2))
    data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(x).batch(4))

    @tf.function
    def step(part):
        def replica(z):
            with tf.GradientTape() as tape:
                y, jacobian = derivative(z)
                loss = tf.reduce_sum(jacobian ** 2) + tf.reduce_sum(y ** 2)
            weight = model.trainable_variables[0].value
            return jacobian, tape.gradient(loss, weight)
        return strategy.run(replica, args=(part,))

    jacobians, gradients = step(next(iter(data)))
    parts = strategy.experimental_local_results(jacobians)
    assert [part.shape[0] for part in parts] == [2, 2]
    np.testing.assert_allclose(np.concatenate(parts), tgk.jacobian(model)(x), rtol=1e-13)
    with tf.GradientTape() as tape:
        y, jacobian = derivative(x)
        loss = tf.reduce_sum(jacobian ** 2) + tf.reduce_sum(y ** 2)
    whole = tape.gradient(loss, model.trainable_variables[0].value)
    np.testing.assert_allclose(sum(strategy.experimental_local_results(gradients)), whole, rtol=1e-12)
"""


def test_on_two_devices_with_a_mirrored_strategy():
    tests = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests / "helpers"), str(tests.parent)])}
    program = [sys.executable, "-c", textwrap.dedent(MIRRORED)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("given", ["float16", "float32", "float64"])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_mixed_precision(policy, given, mode):
    """Weights in float32, computation in half: the same numbers as in float64 to half's digits."""

    def make():
        return keras.Sequential([keras.Input((2,)), L.Dense(4, "tanh"), L.Dense(3, dtype="float32")])

    half, double = build(make, policy), build(mlp(2, 3, 4), "float64")
    double = build(lambda: keras.Sequential([keras.Input((2,), dtype="float64"), L.Dense(4, "tanh"), L.Dense(3)]),
                   "float64")  # fmt: skip
    jacobian = tgk.jacobian(half, mode=mode)(X.astype(given))
    assert jacobian.dtype == tf.float32
    exact = tgk.jacobian(double)(X)
    digits = 2e-3 if policy == "mixed_float16" else 2e-2
    np.testing.assert_allclose(jacobian, exact, atol=digits * np.abs(exact).max())


RECURRENT = {
    "dense": lambda: [keras.Input((3,), dtype="float64"), L.Dense(2, "tanh"), L.Dense(2)],
    "convolution": lambda: [keras.Input((4, 1), dtype="float64"), L.Conv1D(2, 2, activation="tanh"), L.Flatten()],
    "lstm": lambda: [keras.Input((2, 2), dtype="float64"), L.LSTM(2)],
    "resize": lambda: [keras.Input((2, 2, 1), dtype="float64"), L.UpSampling2D(2), L.Conv2D(1, 2), L.Flatten()],
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_derivatives_by_weights_are_those_of_each_sample(kind):
    model = build(lambda: keras.Sequential(RECURRENT[kind]()), "float64")
    x = np.random.default_rng(1).normal(size=(3, *model.input_shape[1:]))
    whole = tgk.jacobian(model, wrt="parameters")(x)
    assert len(whole) == len(model.trainable_variables)
    for row in range(len(x)):
        with tf.GradientTape(persistent=True) as tape:
            y = model(x[row : row + 1])[0]
        alone = tape.jacobian(y, [v.value for v in model.trainable_variables], experimental_use_pfor=False)
        for mine, expected in zip(whole, alone, strict=True):
            np.testing.assert_allclose(mine[row], expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["convolution", "lstm"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_loss_of_a_jacobian_is_differentiated_by_weights(kind, compiled):
    model = build(lambda: keras.Sequential(RECURRENT[kind]()), "float64")
    x = tf.constant(np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])))
    derivative = tgk.jacobian(model, strategy="loop" if kind == "lstm" else "auto")
    variable = model.trainable_variables[0].value

    @tf.function(jit_compile=compiled)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(derivative(x)))
        return loss, tape.gradient(loss, variable)

    _, gradient = step()
    start, along, h = variable.numpy(), np.random.default_rng(2).normal(size=variable.shape), 1e-3
    values = []
    for k in (1, -1, 2, -2):
        variable.assign(start + k * h * along)
        values.append(step()[0].numpy())
    variable.assign(start)
    quotient = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * h)
    np.testing.assert_allclose(np.sum(gradient * along), quotient, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("strategy", ["vectorize", "tile", "loop"])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_holomorphic_functions_in_every_strategy(mode, strategy):
    """TensorFlow's gradient of a complex function is the conjugate of its derivative; ours is the derivative."""
    z = X + 1j * X[::-1]
    jacobian = tgk.jacobian(tf.exp, batched=True, mode=mode, strategy=strategy)(z)
    np.testing.assert_allclose(jacobian, np.exp(z)[:, :, None] * np.eye(2), rtol=1e-12)


def test_a_call_keeps_its_trace_while_another_signature_is_traced(monkeypatch):
    derivative = tgk.gradient(lambda x: tf.reduce_sum(x**3))
    x, longer = tf.constant([1.0, 2.0]), tf.constant([1.0, 2.0, 3.0])
    derivative(longer)
    np.testing.assert_allclose(derivative(x), [3.0, 12.0])
    trace = derivative._latest
    takes = trace.takes

    def interrupted(given, *rules):
        monkeypatch.setattr(trace, "takes", takes)
        answer = takes(given, *rules)
        derivative(longer)  # as another thread would, between the question and the call
        return answer

    monkeypatch.setattr(trace, "takes", interrupted)
    np.testing.assert_allclose(derivative(x), [3.0, 12.0])


def test_by_a_variable_where_an_op_has_no_vectorized_form():
    weights = tf.Variable(np.zeros((2, 1, 1), np.float32))

    def dilated(x):
        return tf.nn.dilation2d(x[:, :, None, None], weights, [1] * 4, "VALID", "NHWC", [1] * 4)[:, :, 0, 0]

    x = np.array([[1.0, 2.0, 5.0], [4.0, 3.0, 1.0]], np.float32)
    expected = np.array([[[0, 1], [0, 1]], [[1, 0], [1, 0]]], np.float32)[..., None, None]
    for strategy in ("auto", "loop"):
        result = tgk.jacobian(dilated, wrt=weights, batched=True, strategy=strategy)(x)
        np.testing.assert_array_equal(result, expected)
    with pytest.raises(tgk.errors.GradientError, match=r"can't be vectorized"):
        tgk.jacobian(dilated, wrt=weights, batched=True, strategy="vectorize")(x)
