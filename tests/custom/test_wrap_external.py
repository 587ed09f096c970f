"""Code outside TensorFlow as a node: values, derivatives, and what may go wrong with it."""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk

MIX = np.random.default_rng(0).normal(size=(3, 2))
X = np.random.default_rng(1).normal(size=(5, 3))
SPEC = tf.TensorSpec([None, 2], tf.float64)
JACOBIAN = np.einsum("bi,ij->bji", np.cos(X), MIX)
HESSIAN = -np.einsum("bi,ij,ik->bjik", np.sin(X), MIX, np.eye(3))


def waves(x):
    return np.sin(x) @ MIX


def jacobian_of_waves(x):
    return np.einsum("bi,ij->bji", np.cos(x), MIX)


def vjp_of_waves(x, output_gradients):
    return output_gradients @ MIX.T * np.cos(x)


# The derivative, how exact it is, and how exact its differences are.
WAYS = {
    "finite differences": ("finite-difference", 1e-9, 1e-6),
    "complex step": ("complex-step", 1e-14, 1e-9),
    "Jacobian": (jacobian_of_waves, 1e-14, 1e-9),
    "VJP": (vjp_of_waves, 1e-14, 1e-9),
}
each_way = pytest.mark.parametrize(("derivative", "first", "second"), WAYS.values(), ids=WAYS)


def counted(f, call):
    """What ``call`` returns, and how often it called the function of ``f``, once traced."""
    call()
    before = f.calls
    return call(), f.calls - before


@each_way
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobian_in_one_more_call(derivative, first, second, mode):
    f = tgk.wrap_external(waves, SPEC, derivative=derivative)
    operator = tgk.value_and_jacobian(f, mode=mode)
    (y, found), calls = counted(f, lambda: operator(X))
    np.testing.assert_allclose(y, waves(X))
    np.testing.assert_allclose(found, JACOBIAN, atol=first)
    assert calls == 2


@each_way
def test_strategies_and_products(derivative, first, second):
    f = tgk.wrap_external(waves, SPEC, derivative=derivative)
    for strategy in ("tile", "loop"):
        np.testing.assert_allclose(tgk.jacobian(f, strategy=strategy)(X), JACOBIAN, atol=first)
    u, v = np.ones((5, 2)), np.ones((5, 3))
    np.testing.assert_allclose(tgk.vjp(f)(X, output_gradients=u), JACOBIAN.sum(1), atol=first)
    np.testing.assert_allclose(tgk.jvp(f)(X, tangents=v), JACOBIAN.sum(2), atol=first)


@each_way
def test_second_derivatives_are_differences_of_the_first(derivative, first, second):
    f = tgk.wrap_external(waves, SPEC, derivative=derivative)
    np.testing.assert_allclose(tgk.hessian(f)(X), HESSIAN, atol=second)
    # Inside something else, whose gradients depend on x, too.
    squared = tgk.hessian(lambda x: tf.reduce_sum(f(x) ** 2, 1), batched=True)(X)
    expected = tgk.hessian(lambda x: tf.reduce_sum((tf.sin(x) @ MIX) ** 2, 1), batched=True)(X)
    np.testing.assert_allclose(squared, expected, atol=10 * second)
    np.testing.assert_allclose(tgk.laplacian(f)(X), np.einsum("bjii->bj", HESSIAN), atol=10 * second)


@each_way
def test_tapes_eager_and_in_a_function(derivative, first, second):
    f = tgk.wrap_external(waves, SPEC, derivative=derivative)
    x = tf.constant(X)
    for call in (f, tf.function(f)):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = call(x)
        np.testing.assert_allclose(tape.gradient(y, x), JACOBIAN.sum(1), atol=first)

    def inside(x):
        return f(x) + x[:, :2]

    # A function with a name is a tf.function of its own, of which TensorFlow writes all derivatives ahead.
    operator = tgk.value_and_jacobian(inside, batched=True, strategy="loop")
    (_, found), calls = counted(f, lambda: operator(X))
    np.testing.assert_allclose(found, JACOBIAN + np.eye(2, 3), atol=first)
    assert calls <= (3 if derivative is vjp_of_waves else 2)


def by_rows(f):
    return lambda x: tf.vectorized_map(lambda row: f(row[None])[0], x)


def test_a_vectorized_loop_is_one_call():
    for derivative in (jacobian_of_waves, vjp_of_waves):
        f = tgk.wrap_external(waves, SPEC, derivative=derivative)
        mapped = tf.function(by_rows(f))
        y, calls = counted(f, partial(mapped, tf.constant(X)))
        np.testing.assert_allclose(y, waves(X))
        assert calls == 1
        np.testing.assert_allclose(tgk.jacobian(mapped, batched=True)(X), JACOBIAN, atol=1e-14)


def test_what_nobody_needs_is_not_called():
    calls = []

    def jacobian(x):
        calls.append(len(x))
        return jacobian_of_waves(x)

    f = tgk.wrap_external(waves, SPEC, derivative=jacobian)
    tf.function(f)(tf.constant(X))
    assert (f.calls, calls) == (1, [])
    tgk.jacobian(f)(X)
    assert calls == [5]


def test_structures_several_arguments_and_integers():
    def fn(pair, k):
        return {"product": pair["a"] * pair["b"], "count": k + 1}

    spec = {"product": tf.TensorSpec([None, 2], tf.float64), "count": tf.TensorSpec([None], tf.int32)}
    a, b, k = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]]), np.array([1, 2], np.int32)

    def jacobian(pair, k):
        return {"product": ({"a": tf.linalg.diag(pair["b"]), "b": tf.linalg.diag(pair["a"])}, None), "count": ()}

    def vjp(pair, k, output_gradients):
        u = output_gradients["product"]
        return {"a": u * pair["b"], "b": u * pair["a"]}, None

    for derivative in ("complex-step", jacobian, vjp):
        f = tgk.wrap_external(fn, spec, derivative=derivative)
        result = f({"a": a, "b": b}, k)
        np.testing.assert_array_equal(result["count"], [2, 3])
        found = tgk.jacobian(lambda pair, k, f=f: f(pair, k)["product"], batched=True)({"a": a, "b": b}, k)
        np.testing.assert_allclose(found["a"], tf.linalg.diag(b), atol=1e-14)
        np.testing.assert_allclose(found["b"], tf.linalg.diag(a), atol=1e-14)


def test_row_by_row():
    shapes = []

    def fn(x):
        shapes.append(x.shape)
        return np.array([x.sum(), x[0] ** 2])

    rows = {
        "finite-difference": "finite-difference",
        "Jacobian": lambda x: np.array([np.ones(3), [2 * x[0], 0, 0]]),
        "VJP": lambda x, output_gradients: output_gradients @ np.array([np.ones(3), [2 * x[0], 0, 0]]),
    }
    expected = np.stack([np.array([np.ones(3), [2 * x[0], 0, 0]]) for x in X])
    for derivative in rows.values():
        f = tgk.wrap_external(fn, tf.TensorSpec([2], tf.float64), derivative=derivative, batched=False)
        assert f(X).shape == (5, 2)
        np.testing.assert_allclose(tgk.jacobian(f)(X), expected, atol=1e-8)
    assert set(shapes) == {(3,)}


def test_a_c_library_that_takes_pointers():
    name = ctypes.util.find_library("m")
    if name is None:
        pytest.skip("no C library of mathematics is found")
    cbrt = ctypes.CDLL(name).cbrt
    cbrt.restype, cbrt.argtypes = ctypes.c_double, [ctypes.c_double]
    f = tgk.wrap_external(
        lambda x: np.array([cbrt(v) for v in x]), tf.TensorSpec([3], tf.float64), "finite-difference", batched=False
    )
    x = np.abs(X) + 0.5
    diagonal = tf.linalg.diag_part(tgk.jacobian(f)(x))
    np.testing.assert_allclose(diagonal, np.cbrt(x) ** -2 / 3, rtol=1e-8)


def test_the_step_is_chosen_and_reported():
    f = tgk.wrap_external(waves, SPEC, derivative="finite-difference")
    assert f.step is None
    error = np.max(np.abs(tgk.jacobian(f)(X) - JACOBIAN))
    assert f.report.chosen
    assert 1e-7 < f.step < 1e-3
    assert error < 1e3 * f.report.error
    assert "chosen" in str(f.report)
    given = tgk.wrap_external(waves, SPEC, derivative="finite-difference", step=0.1)
    error = np.max(np.abs(tgk.jacobian(given)(X) - JACOBIAN))
    assert given.step == 0.1
    assert not given.report.chosen
    assert 1e-4 < error < 2e-2  # h²/6 of the third derivative, with h = 0.1 max(1, |x|)


def test_noise_asks_for_wide_steps_and_a_near_end_for_narrow_ones():
    generator = np.random.default_rng(0)
    spec = tf.TensorSpec([None, 1], tf.float64)
    noisy = tgk.wrap_external(lambda x: np.sin(x) + 1e-5 * generator.normal(size=x.shape), spec, "finite-difference")
    found = tgk.jacobian(noisy)(np.full((4, 1), 0.5))
    assert noisy.step > 1e-3
    np.testing.assert_allclose(np.ravel(found), np.cos(0.5), atol=2e-3)

    def root(x):
        with np.errstate(invalid="ignore"):
            return np.sqrt(x)

    edge = tgk.wrap_external(root, spec, "finite-difference")
    found = tgk.jacobian(edge)(np.full((1, 1), 1e-3))
    np.testing.assert_allclose(np.ravel(found), 0.5 / np.sqrt(1e-3), rtol=1e-6)
    assert edge.step < 1e-3


def test_the_scale_of_the_arguments():
    spec = tf.TensorSpec([None, 1], tf.float64)
    tiny = tgk.wrap_external(lambda x: np.sin(1e9 * x), spec, "finite-difference", step=1e-5, scale=1e-9)
    found = tgk.jacobian(tiny)(np.full((2, 1), 0.3e-9))
    np.testing.assert_allclose(np.ravel(found), 1e9 * np.cos(0.3), rtol=1e-8)


def test_float32_outside_and_float64_inside():
    spec, x = tf.TensorSpec([None, 3], tf.float32), X.astype(np.float32)
    dtypes = set()

    def fn(x):
        dtypes.add(x.dtype.name)
        return np.exp(x)

    wide = tgk.wrap_external(fn, spec, "finite-difference", dtype="float64")
    found = tf.linalg.diag_part(tgk.jacobian(wide)(x))
    assert found.dtype == tf.float32
    assert dtypes == {"float64"}
    np.testing.assert_allclose(found, np.exp(x), rtol=1e-6)
    narrow = tgk.wrap_external(fn, spec, "finite-difference")
    np.testing.assert_allclose(tf.linalg.diag_part(tgk.jacobian(narrow)(x)), np.exp(x), rtol=1e-2)
    assert dtypes == {"float64", "float32"}


def test_arguments_and_results_have_memory_of_their_own():
    buffer = np.zeros((5, 3))

    def fn(x):
        x *= 2
        buffer[: len(x)] = x
        return buffer[: len(x)]

    f = tgk.wrap_external(fn, tf.TensorSpec([None, 3], tf.float64))
    for call in (f, tf.function(f)):
        x = tf.constant(X)
        first, second = call(x), call(x + 1)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(first, 2 * X)
        np.testing.assert_array_equal(second, 2 * (X + 1))


def test_an_empty_batch_is_no_call():
    f = tgk.wrap_external(waves, SPEC, derivative=jacobian_of_waves)
    assert f(np.zeros((0, 3))).shape == (0, 2)
    assert tf.function(f)(tf.zeros([0, 3], tf.float64)).shape == (0, 2)
    assert f.calls == 0
    assert tgk.jacobian(f)(np.zeros((0, 3))).shape == (0, 2, 3)


def test_one_thread_at_a_time():
    inside, worst = [], []

    def fn(x):
        inside.append(1)
        worst.append(len(inside))
        threading.Event().wait(0.002)
        inside.pop()
        return x

    f = tgk.wrap_external(fn, tf.TensorSpec([None, 3], tf.float64), derivative="finite-difference", step=1e-3)
    operator = tgk.jacobian(f)
    operator(X)
    threads = [threading.Thread(target=lambda: [operator(X) for _ in range(3)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    # TensorFlow's own threads, too.
    tf.function(lambda x: tf.add_n([f(x + i) for i in range(8)]))(tf.constant(X))
    rows = tf.data.Dataset.from_tensor_slices(X).map(lambda row: f(row[None])[0], num_parallel_calls=4)
    np.testing.assert_array_equal(np.stack(list(rows)), X)
    assert max(worst) == 1


# -- errors


def returning(result):
    return tgk.wrap_external(lambda x: result(x), SPEC, derivative="finite-difference", step=1e-3, name="sensor")


BROKEN = {
    "an exception": (lambda x: {}["port"], ["raised KeyError: sensor", "'port'"]),
    "another shape": (lambda x: np.zeros((len(x), 3)), ["a result of another shape", "expected: [5, 2]", "[5, 3]"]),
    "one sample": (lambda x: np.zeros(2), ["a result of another shape", "batched=False"]),
    "complex numbers": (lambda x: np.zeros((len(x), 2), complex), ["a result of another dtype", ".real"]),
    "text": (lambda x: np.full((len(x), 2), "a"), ["a result of another dtype", "expected: float64"]),
    "nothing": (lambda x: None, ["returned None", "return statement"]),
    "NaN": (
        lambda x: np.where(x[:, :2] == x[:, :2].max(), np.nan, 0),
        ["returned NaN", "for 1 of 5", "allow_nan=True"],
    ),
}


@pytest.mark.parametrize(("result", "says"), BROKEN.values(), ids=BROKEN)
def test_what_a_function_may_do_wrong(result, says):
    f = returning(result)
    for call in (f, tgk.jacobian(f), tgk.value_and_jacobian(f)):
        with pytest.raises(tgk.errors.ExternalError) as caught:
            call(X)
        message = str(caught.value)
        assert "sensor" in message
        if call is f:
            assert all(part in message for part in says), message
    # In somebody's graph it is TensorFlow's exception, with the same text.
    with pytest.raises(tf.errors.OpError) as caught_by_tensorflow:
        tf.function(f)(tf.constant(X))
    assert "sensor" in str(caught_by_tensorflow.value)
    assert says[0] in str(caught_by_tensorflow.value)


def test_the_original_exception_is_the_cause():
    failure = OSError("the line is dead")

    def fn(x):
        raise failure

    f = tgk.wrap_external(fn, SPEC, derivative=jacobian_of_waves)
    for call in (
        f,
        tgk.value_and_jacobian(f),
        tgk.linearize(f),
        partial(tgk.value_and_vjp(f), output_gradients=X[:, :2]),
    ):
        with pytest.raises(tgk.errors.ExternalError, match="raised OSError: fn") as caught:
            call(X)
        assert caught.value.__cause__ is failure


def test_a_derivative_that_does_not_fit():
    cases = {
        "a Jacobian of another shape": lambda x: np.zeros((len(x), 3, 2)),
        "the wrong number of arrays": lambda x: (np.zeros(3),) * 3,
        "a gradient of another shape": lambda x, output_gradients: np.zeros(2),
        "raised ZeroDivisionError": lambda x: 1 / 0,
    }
    for says, derivative in cases.items():
        f = tgk.wrap_external(waves, SPEC, derivative=derivative)
        with pytest.raises(tgk.errors.ExternalError, match=says):
            tgk.jacobian(f)(X)
    real = tgk.wrap_external(lambda x: np.abs(x[:, :2]), SPEC, derivative="complex-step")
    with pytest.raises(tgk.errors.ExternalError, match="returned real numbers for complex ones"):
        tgk.jacobian(real)(X)


def test_without_a_derivative():
    f = tgk.wrap_external(waves, SPEC)
    np.testing.assert_allclose(f(X), waves(X))
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    with pytest.raises(tgk.errors.GradientError, match="has no derivative: waves"):
        tape.gradient(y, x)
    with pytest.raises(tgk.errors.GradientError, match="has no derivative: waves"):
        tgk.jacobian(f)(X)
    # A third derivative has none, either.
    sine = tgk.wrap_external(np.sin, tf.TensorSpec([None], tf.float64), np.cos, name="sine")
    with pytest.raises(tgk.errors.GradientError, match="no third derivatives: sine"):
        tgk.gradient(tgk.gradient(tgk.gradient(sine)))(X[:, 0])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: tgk.wrap_external(3, SPEC), "nothing to wrap"),
        (lambda: tgk.wrap_external(waves, [2]), "output_spec says shapes and dtypes"),
        (lambda: tgk.wrap_external(waves, tf.TensorSpec([2])), "output_spec has no batch axis"),
        (lambda: tgk.wrap_external(waves, SPEC, derivative="exact"), "no such derivative: derivative"),
        (lambda: tgk.wrap_external(waves, SPEC, step=0.0), "no such step"),
        (lambda: tgk.wrap_external(waves, SPEC, batched=1), "no such choice: batched"),
        (lambda: tgk.wrap_external(waves, SPEC)(1.0), "takes batches: waves"),
        (lambda: tgk.wrap_external(waves, SPEC)(X, X[:2]), "takes batches: waves"),
        (lambda: tgk.wrap_external(waves, SPEC)(), "no argument was given: waves"),
    ],
)
def test_calls_that_can_not_be(make, says):
    with pytest.raises(tgk.errors.SignatureError, match=says):
        make()


# -- in Keras, and where it can't be


@pytest.fixture(scope="module")
def amplifier():
    return tgk.wrap_external(
        lambda x: 2 * np.tanh(x), tf.TensorSpec([None, 4], tf.float32), "finite-difference", dtype="float64", name="amp"
    )


@pytest.fixture(scope="module")
def model(amplifier):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(1)(amplifier(keras.layers.Dense(4)(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def test_a_model_is_trained_through_it(model, amplifier):
    x = np.random.default_rng(0).normal(size=(64, 3))
    y = np.tanh(x.sum(1, keepdims=True))
    before = amplifier.calls
    losses = model.fit(x, y, batch_size=16, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 4
    # A batch is a call and a call of the moved points; the step is chosen by one more.
    assert amplifier.calls - before == 12 * 4 * 2 + 1


def test_jacobian_of_that_model(model, amplifier):
    (kernel, bias), (last, _) = model.layers[1].get_weights(), model.layers[3].get_weights()
    expected = np.einsum("ij,bj,jk->bki", kernel, 2 / np.cosh(X @ kernel + bias) ** 2, last)
    operator = tgk.jacobian(model)
    found, calls = counted(amplifier, lambda: operator(X))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert calls == 2
    before = amplifier.calls
    assert tgk.check_batch_independence(model, X).status == "proven"
    assert amplifier.calls == before


def test_saved_by_name_alone(model, amplifier, tmp_path):
    model.save(tmp_path / "model.keras")
    with pytest.raises(tgk.errors.UnknownLayerError, match="not in the file: amp"):
        tgk.load(tmp_path / "model.keras")
    again = tgk.load(tmp_path / "model.keras", custom_objects={"amp": amplifier})
    np.testing.assert_array_equal(again(X), model(X))


def test_exports_name_it_and_leave_nothing(model, tmp_path):
    with pytest.raises(tgk.errors.UnsupportedModelError, match="which a SavedModel doesn't hold") as caught:
        tgk.export_saved_model(model, tmp_path / "saved")
    assert caught.value.got == "amp"
    with pytest.raises(tgk.errors.UnsupportedModelError, match="it calls the Python function amp") as caught:
        tgk.export_native(model, tmp_path / "net", "net")
    assert "export_saved_model takes it" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_compilation_names_it(amplifier):
    f = tgk.wrap_external(waves, SPEC, derivative=jacobian_of_waves)
    with pytest.raises(tgk.errors.ExternalError, match="can't be compiled by XLA: waves"):
        tgk.jacobian(f, jit_compile=True)(X)
    with pytest.raises(tgk.errors.ExternalError, match="can't be compiled by XLA: waves"):
        tf.function(f, jit_compile=True, autograph=False)(tf.constant(X))

    class Own(keras.layers.Layer):
        def call(self, x):
            return amplifier(x)

    own = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), Own()])
    own.compile("sgd", "mse", jit_compile=True)
    with pytest.raises(tgk.errors.ExternalError, match="can't be compiled by XLA: amp"):
        own.fit(X, X[:, :1], verbose=0)
