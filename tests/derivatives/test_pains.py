"""What users of TensorFlow and other toolkits reported, a test each; numbers are public issues of the named project."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk
from tfgradkit.errors import GradientError, SignatureError

L = keras.layers
X = np.random.default_rng(0).uniform(0.2, 0.9, (3, 4))


def recurrent(**options):
    return build(lambda: keras.Sequential([keras.Input((3, 2), dtype="float64"), L.LSTM(2, **options)]), "float64")


def slopes(f, x, h=1e-3):
    """Central differences by each number of a sample, exact to h**4."""
    columns = []
    for index in np.ndindex(x.shape[1:]):
        unit = np.zeros(x.shape[1:])
        unit[index] = h
        columns.append((8 * (f(x + unit) - f(x - unit)) - (f(x + 2 * unit) - f(x - 2 * unit))) / (12 * h))
    return np.stack(columns, -1).reshape(*columns[0].shape, *x.shape[1:])


def test_a_second_call_does_not_trace():
    """tensorflow 42835: an eager Jacobian builds its graph anew at every call."""
    traces = []

    def f(x):
        traces.append(1)
        return tf.tanh(x) * tf.reduce_sum(x, -1, keepdims=True)

    derivative = tgk.jacobian(f, batched=True)
    first = derivative(X)
    count = len(traces)
    for _ in range(3):
        np.testing.assert_array_equal(derivative(X), first)
    assert len(traces) == count


@pytest.mark.parametrize("chunk_size", [1, 3, "auto"])
def test_passes_can_be_bounded(chunk_size):
    """tensorflow 34496: a vectorized Jacobian takes all passes' memory at once."""

    def make():
        return keras.Sequential([keras.Input((3, 3, 1), dtype="float64"), L.Conv2D(2, 2, activation="tanh")])

    model = build(make, "float64")
    x = np.random.default_rng(1).normal(size=(2, 3, 3, 1))
    derivative = tgk.jacobian(model, mode="reverse", chunk_size=chunk_size, memory_limit=4000)
    np.testing.assert_allclose(derivative(x), tgk.jacobian(model)(x), atol=1e-14)
    step = derivative.plan.steps[0]
    assert step.chunk == chunk_size if chunk_size != "auto" else 1 <= step.chunk < step.passes


def test_an_op_without_a_vectorized_form_is_no_dead_end():
    """tensorflow 38391: "No pfor vectorization defined"."""
    f = lambda x: tf.nn.depth_to_space(tf.image.resize(x, [4, 4], "bicubic"), 2)  # noqa: E731
    x = np.random.default_rng(2).normal(size=(2, 2, 2, 4))
    derivative = tgk.jacobian(f, batched=True)
    expected = slopes(lambda z: f(tf.constant(z)).numpy(), x, h=0.25)
    np.testing.assert_allclose(derivative(x), expected, atol=1e-6)
    assert derivative.plan.strategy == "loop"
    assert "can't be vectorized" in derivative.plan.reason


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_jacobian_of_a_recurrent_layer(unroll, compiled):
    """tensorflow 57343, 41042: the vectorized Jacobian of an LSTM fails, most of all when compiled."""
    model = recurrent(unroll=unroll)
    x = np.random.default_rng(3).normal(size=(2, 3, 2))
    jacobian = tgk.jacobian(model, jit_compile=compiled)(x)
    np.testing.assert_allclose(jacobian, slopes(lambda z: model(z).numpy(), x), atol=1e-10)


@pytest.mark.parametrize("compiled", [False, True])
def test_hessian_of_a_recurrent_layer(compiled):
    """tensorflow 5985, 11208: no second derivative through a while loop."""
    model = recurrent()
    x = np.random.default_rng(3).normal(size=(2, 3, 2))
    hessian = tgk.hessian(lambda z: tf.reduce_sum(model(z), -1), batched=True, jit_compile=compiled)(x)
    gradient = tgk.gradient(lambda z: tf.reduce_sum(model(z), -1), batched=True)
    np.testing.assert_allclose(hessian, slopes(lambda z: gradient(z).numpy(), x), atol=1e-9)


def test_no_silent_none():
    """tensorflow 31264, 56968: a gradient is None, and nothing says why."""
    f = lambda x: tf.reduce_sum(tf.constant([1.0, 2.0]))  # noqa: E731
    with pytest.raises(GradientError, match="does not depend on the input"):
        tgk.gradient(f, unconnected="raise")([3.0, 4.0])
    assert tgk.gradient(f, unconnected="none")([3.0, 4.0]) is None
    np.testing.assert_array_equal(tgk.gradient(f)([3.0, 4.0]), [0.0, 0.0])


def test_unconnected_is_the_same_for_every_operator():
    """tensorflow's batch_jacobian gives zeros where its jacobian gives None."""
    f = lambda x, y: 2 * x  # noqa: E731
    for batched in (False, True):
        by_x, by_y = tgk.jacobian(f, batched=batched, argnums=(0, 1), unconnected="none")(X, X)
        assert by_y is None
        assert np.any(by_x)
        assert not np.any(tgk.jacobian(f, batched=batched, argnums=1)(X, X))


def test_a_model_takes_arrays_and_nothing_need_be_watched():
    """tensorflow 36596: gradients by Keras' symbolic inputs."""
    model = build(mlp(4, 2, 3), "float64")
    expected = slopes(lambda z: model(z).numpy(), X)
    for given in (X, X.tolist(), tf.constant(X), tf.Variable(X)):
        np.testing.assert_allclose(tgk.jacobian(model)(given), expected, atol=1e-10)
    with pytest.raises(SignatureError):
        tgk.jacobian(model)(model.inputs[0])


def test_integers_are_an_error_that_says_what_to_do():
    """tensorflow 73631: an integer input's gradient is None, with a line in the log."""
    with pytest.raises(SignatureError, match=r"tf\.cast"):
        tgk.gradient(lambda x: tf.cast(x, tf.float32) ** 2)(3)


def test_second_order_of_softsign():
    """tensorflow 126092: SoftsignGrad has no gradient."""
    hessian = tgk.hessian(lambda x: tf.reduce_sum(tf.nn.softsign(x)), batched=False)(X[0])
    np.testing.assert_allclose(hessian, np.diag(-2 / (1 + X[0]) ** 3), atol=1e-14)


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
def test_second_order_of_max_pooling(padding):
    """tensorflow 6143, 11435: pooling. Its forward mode is silently wrong where windows overlap the padding."""
    f = lambda z: tf.reduce_sum(tf.nn.max_pool2d(z, [3, 2], 1, padding) ** 3, [1, 2, 3])  # noqa: E731
    x = np.random.default_rng(4).permutation(24).reshape(2, 3, 4, 1) / 24
    gradient = tgk.gradient(f, batched=True)
    np.testing.assert_allclose(tgk.hessian(f, batched=True)(x), slopes(lambda z: gradient(z).numpy(), x), atol=1e-9)


def test_products_are_those_of_the_jacobian():
    """tensorflow 60164, 56737: a forward-mode product is None, or another number than reverse mode gives."""
    model, v = recurrent(), np.random.default_rng(5).normal(size=(2, 3, 2))
    x = np.random.default_rng(3).normal(size=(2, 3, 2))
    jacobian = tgk.jacobian(model, mode="reverse")(x).numpy()
    np.testing.assert_allclose(tgk.jvp(model)(x, tangents=v), np.einsum("byij,bij->by", jacobian, v), atol=1e-13)


def test_hessians_of_a_batch_are_not_zero():
    """tensorflow 45234: batch_jacobian of a batch_jacobian is zero."""
    f = lambda x: tf.reduce_prod(x, -1)  # noqa: E731
    expected = np.prod(X, -1)[:, None, None] / (X[:, :, None] * X[:, None]) * (1 - np.eye(4))
    np.testing.assert_allclose(tgk.hessian(f, batched=True)(X), expected, rtol=1e-12)
    nested = tgk.jacobian(tgk.jacobian(f, batched=True))
    np.testing.assert_allclose(nested(X), expected, rtol=1e-12)


def test_hessian_products_need_no_hessian():
    """tensorflow 11894: the Hessian does not fit into memory."""
    n = 20000  # its Hessian would be 3.2 GB
    x, v = np.linspace(0, 1, n), np.linspace(1, 2, n)
    product = tgk.hvp(lambda z: tf.reduce_sum(z**3) + tf.reduce_sum(z) ** 2)(x, tangents=v)
    np.testing.assert_allclose(product, 6 * x * v + 2 * v.sum(), rtol=1e-10)


@pytest.mark.parametrize("operator", ["jacobian", "hessian"])
def test_a_while_loop_under_xla(operator):
    """tensorflow 47170, 40885: gradients of a loop don't compile without a maximum of iterations."""

    def f(x):
        count = lambda i, y: i < 3  # noqa: E731
        turn = lambda i, y: (i + 1, tf.sin(y) * x)  # noqa: E731
        return tf.reduce_sum(tf.while_loop(count, turn, (0, x), maximum_iterations=3)[1], -1)

    compiled = getattr(tgk, operator)(f, batched=True, jit_compile=True)(X)
    first = tgk.gradient(f, batched=True)
    expected = slopes(lambda z: (f(tf.constant(z)) if operator == "jacobian" else first(z)).numpy(), X)
    np.testing.assert_allclose(compiled, expected, atol=1e-9)


def test_unknown_and_empty_batches():
    """tensorflow 37795, 43043: shapes are lost, an empty batch divides by zero or changes the dtype."""
    model = build(mlp(4, 2, 3), "float32")
    derivative = tgk.jacobian(model)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def graph(x):
        result = derivative(x)
        assert result.shape.as_list() == [None, 2, 4]
        return result

    for call in (derivative, graph):
        empty = call(np.zeros((0, 4), "float32"))
        assert (tuple(empty.shape), empty.dtype) == ((0, 2, 4), tf.float32)


def test_a_vector_of_scalars_is_a_target():
    """tensorflow's batch_jacobian wants a rank of two at least."""
    jacobian = tgk.jacobian(lambda x: x[:, 0] ** 2, batched=True)(X)
    np.testing.assert_allclose(jacobian[:, 0], 2 * X[:, 0])


def test_structures_on_both_sides():
    """tensorflow 56912, functorch 116: the target of a Jacobian has to be one tensor."""

    def f(x):
        return {"product": x["a"] * x["b"], "sums": (tf.reduce_sum(x["a"], -1), x["b"] ** 2)}

    result = tgk.jacobian(f, batched=True)({"a": X, "b": X + 1})
    eye = np.eye(4)
    np.testing.assert_allclose(result["product"]["a"], eye * (X + 1)[:, None], rtol=1e-14)
    np.testing.assert_allclose(result["sums"][0]["a"], np.ones((3, 4)))
    assert not np.any(result["sums"][0]["b"])
    np.testing.assert_allclose(result["sums"][1]["b"], eye * 2 * (X + 1)[:, None], rtol=1e-14)


@pytest.mark.parametrize("operator", ["value_and_jacobian", "value_and_gradient", "value_and_hvp"])
def test_value_and_derivative_come_from_one_pass(operator):
    """jax 762, 5377; functorch 333: the value and the Jacobian at once."""
    runs = tf.Variable(0)

    def f(x):
        y = tf.reduce_sum(tf.sin(x), -1)
        with tf.control_dependencies([runs.assign_add(1)]):
            return tf.identity(y)

    seeds = {"tangents": X} if operator == "value_and_hvp" else {}
    y, _ = getattr(tgk, operator)(f, batched=True)(X, **seeds)
    np.testing.assert_allclose(y, np.sin(X).sum(-1))
    assert runs.numpy() == 1


CUSTOM = """
    import sys
    import numpy as np
    import tensorflow as tf
    import tfgradkit as tgk
    loaded = tgk.load(sys.argv[1])
    jacobian = tgk.jacobian(loaded)(np.array([[0.3], [0.7]]))
    np.testing.assert_allclose(np.ravel(jacobian), 7 * np.cos([0.3, 0.7]), rtol=1e-12)
    hessian = tgk.hessian(loaded)(np.array([[0.3], [0.7]]))
    np.testing.assert_allclose(np.ravel(hessian), -7 * np.sin([0.3, 0.7]), rtol=1e-12)
"""


def test_a_custom_gradient_survives_a_saved_model(tmp_path):
    """tensorflow 40166, keras 16601: it is lost when the model is saved, or fails when it is loaded."""

    @tf.custom_gradient
    def sevenfold(x):
        return tf.sin(x), lambda u: 7 * u * tf.cos(x)

    module = tf.Module()
    module.call = tf.function(sevenfold.__call__, input_signature=[tf.TensorSpec([None, 1], tf.float64, name="x")])
    tf.saved_model.save(module, str(tmp_path), signatures=module.call)
    run = [sys.executable, "-c", textwrap.dedent(CUSTOM), str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_inputs_of_different_dtypes(mode):
    """A function that casts: each block has the dtype of its result."""
    f = lambda a, b: tf.cast(a, tf.float64) * b  # noqa: E731
    a, b = X.astype("float32"), X + 1
    by_a, by_b = tgk.jacobian(f, batched=True, argnums=(0, 1), mode=mode)(a, b)
    assert (by_a.dtype, by_b.dtype) == (tf.float64, tf.float64)
    np.testing.assert_allclose(by_a, np.eye(4) * b[:, None], rtol=1e-6)
    np.testing.assert_allclose(by_b, np.eye(4) * a[:, None], rtol=1e-14)


def test_nan_stays_where_it_is():
    """tensorflow 12071: one sample's NaN must not reach another's derivative."""
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    gradient = tgk.gradient(lambda z: tf.norm(z, axis=-1), batched=True)(x).numpy()
    np.testing.assert_allclose(gradient[1], [0.6, 0.8])
    assert np.isnan(gradient[0]).all()


def test_recomputed_layers_have_derivatives_of_every_order():
    """tensorflow 36981: tf.recompute_grad has no second derivative."""
    f = tf.recompute_grad(lambda x: tf.sin(x) * tf.exp(x))
    np.testing.assert_allclose(
        tgk.jacobian(f, mode="reverse")(X[0]), np.diag((np.sin(X[0]) + np.cos(X[0])) * np.exp(X[0])), rtol=1e-12
    )
    curved = np.diag(2 * np.cos(X[0]) * np.exp(X[0]))
    np.testing.assert_allclose(tgk.hessian(lambda x: tf.reduce_sum(f(x)))(X[0]), curved, rtol=1e-12)
