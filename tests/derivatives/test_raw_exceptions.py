"""What TensorFlow, Keras and XLA raise comes out as an error of the tree, or works; the user's exceptions stay."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import GradientError, SignatureError, SourceError, TfGradKitError

A = np.array([1.0, 2.0, 3.0])
X = np.arange(1.0, 7.0).reshape(2, 3)
MODEL = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh")])


class OwnError(Exception):
    """With an __init__ that takes no single text."""

    def __init__(self, number, reason):
        super().__init__(f"{number}: {reason}")
        self.number = number


def raising(error):
    def own(x):
        raise error

    return own


def own_keras(error):
    class Own(keras.layers.Layer):
        def call(self, x):
            raise error

    return Own()


# --- the user's own exceptions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("my own"), KeyError("k"), OwnError(3, "why"), LookupError("none")], ids=repr
)
@pytest.mark.parametrize("operator", ["gradient", "jacobian", "hessian", "vjp", "linearize"])
def test_an_exception_of_the_users_own_stays(error, operator):
    seed = {"output_gradients": A} if operator == "vjp" else {}
    with pytest.raises(type(error)) as caught:
        getattr(tgk, operator)(raising(error))(A, **seed)
    assert caught.value is error


def test_what_python_raises_in_the_users_code_is_the_users():
    for wrong, error in (
        (lambda x: x * int("three"), ValueError),
        (lambda x: {}["x"], KeyError),
        (lambda x: x / (1 // 0), ZeroDivisionError),
    ):
        with pytest.raises(error) as caught:
            tgk.jacobian(wrong)(A)
        assert not isinstance(caught.value, TfGradKitError)


def test_an_exception_in_a_layer_is_the_users():
    with pytest.raises(ValueError, match="my own") as caught:
        tgk.jacobian(own_keras(ValueError("my own")))(X)
    assert not isinstance(caught.value, TfGradKitError)


def test_an_exception_in_a_gradient_of_the_users_own():
    @tf.custom_gradient
    def f(x):
        def back(u):
            raise OwnError(1, "no gradient today")

        return x * x, back

    with pytest.raises(OwnError, match="today"):
        tgk.jacobian(f)(A)


def test_an_assertion_of_the_users_own_keeps_its_text():
    def f(x):
        tf.debugging.assert_positive(x, "must be positive")
        return x**2

    with pytest.raises(SourceError, match="must be positive") as caught:
        tgk.jacobian(f)(-A)
    assert isinstance(caught.value.__cause__, tf.errors.InvalidArgumentError)
    assert "assert_positive(x" in str(caught.value)
    np.testing.assert_allclose(tgk.jacobian(f)(A), np.diag(2 * A))


# --- what leaves TensorFlow ----------------------------------------------------------------------------------------

LEAVING = {
    "predict": (lambda x: MODEL.predict(x, verbose=0), "model\\(x\\) in place of model.predict"),
    "numpy": (lambda x: tf.constant(x.numpy()) * x, "in place of .numpy"),
    "float": (lambda x: x * float(x[0, 0]), "tf.cast"),
    "int": (lambda x: x * int(x[0, 0]), "tf.cast"),
    "range": (lambda x: x * len(range(tf.cast(x[0, 0], tf.int32))), "range"),
    "bool": (lambda x: x if x[0, 0] > 0 else -x, "tf.where"),
    "iteration": (lambda x: sum(row for row in x), "tf.unstack"),
    "len": (lambda x: x * len(x), "x.shape"),
    "np.exp": (lambda x: x * np.exp(x), "tf.math"),
    "np.asarray": (lambda x: x * np.asarray(x), "tf.math"),
}


@pytest.mark.parametrize(("f", "says"), LEAVING.values(), ids=LEAVING)
def test_what_leaves_tensorflow_is_told_with_the_line(f, says):
    with pytest.raises(GradientError, match="leaves TensorFlow") as caught:
        tgk.jacobian(f)(X)
    message = str(caught.value)
    assert "test_raw_exceptions.py, line" in message
    assert caught.value.got
    assert "in user code" not in message
    assert says.replace("\\", "") in message


def test_a_def_that_leaves_tensorflow_keeps_its_reason():
    def f(z):
        return z * np.exp(z)

    with pytest.raises(GradientError, match="symbolic") as caught:
        tgk.jacobian(f)(A)
    assert "return z * np.exp(z)" in str(caught.value)


# --- at trace, call and compile time ---------------------------------------------------------------------------------


def test_shapes_that_do_not_fit_name_the_op_and_the_line():
    def f(x):
        return x @ tf.ones((4, 2), tf.float64)

    for g in (f, lambda x: x @ tf.ones((4, 2), tf.float64)):
        for operator in (tgk.jacobian, tgk.linearize):
            with pytest.raises(SignatureError, match="op MatMul") as caught:
                operator(g)(X)
            assert "tf.ones((4, 2), tf.float64)" in str(caught.value)
            assert "Dimensions must be equal" in caught.value.got


def test_a_missing_argument():
    for f in (lambda x, y: x * y, tf.function(lambda x, y: x * y)):
        with pytest.raises(SignatureError, match="does not take these arguments"):
            tgk.jacobian(f)(A)


@pytest.mark.parametrize("operator", ["jacobian", "linearize", "vjp"])
def test_an_op_that_fails_when_it_runs(operator):
    seed = {"output_gradients": np.eye(2)} if operator == "vjp" else {}
    with pytest.raises(TfGradKitError, match="not invertible") as caught:
        getattr(tgk, operator)(lambda x: tf.linalg.inv(x))(np.ones((2, 2)), **seed)
    assert "MatrixInverse" in str(caught.value)
    assert operator == "linearize" or "tf.linalg.inv(x)" in str(caught.value)
    assert isinstance(caught.value.__cause__, tf.errors.OpError)


def test_what_xla_does_not_compile():
    for f in (lambda x: tf.boolean_mask(x, x > 1.5), lambda x: tf.strings.to_number(tf.strings.as_string(x))):
        with pytest.raises(GradientError, match="XLA") as caught:
            tgk.jacobian(f, jit_compile=True)(A)
        assert "test_raw_exceptions.py, line" in str(caught.value)


def test_inside_a_function_of_somebody():
    @tf.function
    def outer(x):
        return tgk.jacobian(lambda x: x * np.exp(x))(x)

    with pytest.raises(GradientError, match="leaves TensorFlow"):
        outer(tf.constant(A))


# --- what is made to work --------------------------------------------------------------------------------------------


def switched(x):
    return tf.switch_case(tf.constant(1), [lambda: x, lambda: x * tf.sin(x)])


@pytest.mark.parametrize(
    ("mode", "strategy"),
    [("auto", "auto"), ("forward", "vectorize"), ("reverse", "vectorize"), ("reverse", "tile"), ("forward", "loop")],
)
@pytest.mark.parametrize(
    "f", [switched, tf.function(switched), lambda x: switched(x)], ids=["def", "function", "lambda"]
)
def test_branches_are_compiled(f, mode, strategy):
    derivative = tgk.jacobian(f, batched=True, jit_compile=True, mode=mode, strategy=strategy)
    for x in (X, X[:1]):
        expected = np.einsum("bi,ij->bij", np.sin(x) + x * np.cos(x), np.eye(3))
        np.testing.assert_allclose(derivative(x), expected, rtol=1e-12)


def test_hessians_of_branches_are_compiled():
    def f(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: tf.reduce_sum(x**3, -1), lambda: tf.reduce_sum(x, -1))

    np.testing.assert_allclose(tgk.hessian(f, jit_compile=True)(A), np.diag(6 * A), rtol=1e-12)
    found = tgk.hessian(lambda x: tf.map_fn(f, x), batched=True, jit_compile=True)(X)
    np.testing.assert_allclose(found, 6 * np.einsum("bi,ij->bij", X, np.eye(3)), rtol=1e-12)


def test_results_whose_inner_size_is_not_known():
    def turned(x):
        return tf.transpose(tf.scatter_nd([[2], [0], [1]], tf.transpose(x * x), tf.reverse(tf.shape(x), [0])))

    places = [1, 2, 0]
    expected = np.zeros((2, 3, 3, 3))
    for row, place in enumerate(places):
        expected[:, row, place, place] = 2
    np.testing.assert_allclose(tgk.hessian(turned, batched=True)(X), expected)
    mask = [True, False, False]
    slope = tgk.gradient(lambda z: tf.boolean_mask(z**2, mask, axis=1), batched=True)(X)
    np.testing.assert_allclose(slope, 2 * X * mask)
    with pytest.raises(GradientError, match="scalar-valued"):
        tgk.gradient(lambda z: tf.boolean_mask(z**2, [True, True, False], axis=1), batched=True)(X)


def test_results_whose_rank_is_not_known():
    np.testing.assert_allclose(
        tgk.gradient(lambda z: tf.py_function(tf.sin, [z], tf.float64))(np.array(1.0)), np.cos(1.0)
    )
    with pytest.raises(GradientError, match="can be taken once"):
        tgk.jacobian(lambda z: tf.py_function(tf.sin, [z], tf.float64))(A)
    with pytest.raises(GradientError, match="PyFunc"):
        tgk.gradient(lambda z: tf.numpy_function(np.sin, [z], tf.float64))(np.array(1.0))


def test_a_function_that_needs_a_fixed_batch_gets_one():
    derivative = tgk.jacobian(lambda z: tf.stack([row**2 for row in tf.unstack(z)]), batched=True)
    for x in (X, X[:1], np.concatenate([X, X])):
        np.testing.assert_allclose(derivative(x), 2 * np.einsum("bi,ij->bij", x, np.eye(3)))
    assert derivative.trace_count == 3
    looped = tgk.jacobian(lambda z: tf.stack([z[i] ** 2 for i in range(z.shape[0])]), batched=True)
    np.testing.assert_allclose(looped(X), 2 * np.einsum("bi,ij->bij", X, np.eye(3)))


def test_a_batch_that_cannot_be_repeated():
    def own(z):
        return z * tf.constant([[1.0], [2.0]], tf.float64)

    with pytest.raises(GradientError, match="no batch but its own"):
        tgk.jacobian(own, batched=True, strategy="tile")(X)
    np.testing.assert_allclose(tgk.jacobian(own, batched=True)(X), np.array([1, 2])[:, None, None] * np.eye(3))


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("operator", [tgk.jacobian, tgk.linearize, tgk.hessian])
def test_an_op_without_a_gradient_is_named_in_a_called_function_too(operator, inside):
    """TensorFlow asks for the gradients of a tf.function where it is called, which is in the user's own function."""
    where = {"sp_indices": [[0, 0], [1, 1]], "sp_shape": [2, 2], "dense": np.ones((2, 2))}
    f = lambda v: tf.raw_ops.SparseDenseCwiseAdd(sp_values=v, **where)  # noqa: E731
    with pytest.raises(GradientError, match=r"has no gradient(?s:.*)SparseDenseCwiseAdd(?s:.*)register_gradient"):
        operator(tf.function(f, autograph=False) if inside else f)([1.0, 2.0])
