"""``check_gradients`` finds errors of one per cent wherever they are planted, names the op, and spares the healthy.

``TFGRADKIT_SWEEP=1`` (``scripts/sweep``) tries a hundred of each.
"""

from __future__ import annotations

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import PLANTED_LINE, Block, Off, model, planted, planted_by_hand, planted_pair, program

import tfgradkit as tgk
from tfgradkit.derivatives.op_by_op.local_check import first_wrong_op

SWEEP = bool(os.environ.get("TFGRADKIT_SWEEP"))
PROGRAMS, MODELS, MOST = (range(50), range(50), 50) if SWEEP else (range(2), range(2, 4), 20)
L = keras.layers
X = np.random.default_rng(5).normal(size=(3, 4))


def assert_found(check, line):
    assert check.status == "wrong", str(check)
    first = check.wrong_ops[0]
    assert (first.op, first.where) == ("tf.custom_gradient", line), str(check)
    assert first.error == pytest.approx(0.0099, rel=0.1), str(check)
    assert first.code in str(check)


@pytest.mark.parametrize("seed", PROGRAMS)
def test_an_error_in_a_function_is_found_and_its_line_named(seed):
    case = program(seed, True, MOST)
    assert_found(tgk.check_gradients(case.function, case.x), case.line)


@pytest.mark.parametrize("seed", PROGRAMS)
def test_a_healthy_function_is_right(seed):
    case = program(seed, False, MOST)
    check = tgk.check_gradients(case.function, case.x)
    assert (check.status, check.wrong_ops) == ("right", ()), f"{check}\n{case.source}"


@pytest.mark.parametrize("seed", MODELS)
def test_an_error_in_a_model_is_found_and_its_line_named(seed):
    made, x = model(seed, True)
    check = tgk.check_gradients(made, x)
    assert_found(check, PLANTED_LINE)
    assert check.dtype == "float64"


@pytest.mark.parametrize("seed", MODELS)
def test_a_healthy_model_is_right(seed):
    made, x = model(seed, False)
    before = [v.numpy() for v in made.variables]
    check = tgk.check_gradients(made, x)
    assert (check.status, check.wrong_ops) == ("right", ()), str(check)
    assert (check.dtype, check.note) == ("float64", None)
    for old, variable in zip(before, made.variables, strict=True):
        assert variable.dtype == "float32" or not np.issubdtype(old.dtype, np.floating)
        np.testing.assert_array_equal(old, variable.numpy())
    assert made.dtype_policy.name == "float32"
    assert keras.config.floatx() == "float32"


def test_the_layer_and_the_gradient_function_are_named():
    made = keras.Sequential([keras.Input((4,)), L.Dense(3, "relu"), Off(name="bad"), L.Dense(2, "softmax")])
    (op,) = tgk.check_gradients(made, X).wrong_ops
    assert (op.layer, op.where) == ("bad", PLANTED_LINE)
    assert op.gradient == f"planted.py:{planted_by_hand.__wrapped__.__code__.co_firstlineno + 2}"


def test_by_the_weights():
    made = keras.Sequential([keras.Input((4,)), Block(3, wrong=True), L.Dense(2)])
    check = tgk.check_gradients(made, X.astype("float32"), wrt="parameters")
    assert_found(check, PLANTED_LINE)


def test_an_error_that_a_saturated_op_hides_is_found():
    def f(x):
        return tf.nn.softmax(planted(tf.sin)(x) + np.array([400.0, 0.0, 1.0, 2.0]), -1)

    check = tgk.check_gradients(f, X)
    assert_found(check, f"test_planted_errors.py:{f.__code__.co_firstlineno + 1}")
    assert {f.method for f in check.findings if f.status == "wrong"} == {"differences of one op"}


def test_an_error_is_that_by_the_input_where_it_is():
    """By the other input the derivative is right, a thousand times as large, or all but cancels the wrong one."""
    for share in (1e3, 1.0):
        check = tgk.check_gradients(lambda x, share=share: planted_pair(share * x, x), X)
        assert [op.error for op in check.wrong_ops] == [pytest.approx(0.01, rel=1e-3)]


def test_where_differences_are_exact_a_small_error_is_one():
    check = tgk.check_gradients(lambda x: planted(tf.sin, 1 + 3e-6)(x), X)
    assert {f.status for f in check.findings if f.method == "differences"} == {"wrong"}


def test_a_value_that_a_custom_gradient_takes_twice():
    @tf.custom_gradient
    def right_pair(a, b):
        return a * tf.cos(b), lambda upstream: (upstream * tf.cos(b), upstream * a * -tf.sin(b))

    for right, pair in ((True, right_pair), (False, planted_pair)):
        check = tgk.check_gradients(lambda x, pair=pair: tf.math.softplus(pair(*[tf.sin(x)] * 2)), X)
        assert check.ok is right
        assert len(check.wrong_ops) == 1 - right
        assert all(0.001 < op.error < 0.02 for op in check.wrong_ops)


def test_a_stopped_gradient_is_named_and_one_that_takes_nothing_away_is_not():
    def stopped(x):
        return x * tf.stop_gradient(tf.tanh(x))

    (op,) = tgk.check_gradients(stopped, X).wrong_ops
    assert (op.op, op.error) == ("StopGradient", pytest.approx(1.0))

    def shifted(x):  # the shift of a log-sum-exp, and an error behind it
        m = tf.stop_gradient(tf.reduce_max(x, -1, keepdims=True))
        return planted_by_hand(m + tf.math.log(tf.reduce_sum(tf.exp(x - m), -1, keepdims=True)))

    check = tgk.check_gradients(shifted, X)
    assert [op.op for op in check.wrong_ops] == ["tf.custom_gradient"]


def test_several_errors_are_named_all():
    def f(x):
        y = planted_by_hand(x)
        return planted(tf.tanh)(y) * x

    lines = {op.where for op in tgk.check_gradients(f, X).wrong_ops}
    start = f.__code__.co_firstlineno
    assert lines == {f"test_planted_errors.py:{start + i}" for i in (1, 2)}


def test_in_a_loop_and_a_branch_of_a_graph():
    @tf.function
    def f(x):
        for _ in tf.range(3):
            x = planted_by_hand(x)
        if tf.reduce_sum(x) > -1e9:
            x = x * x
        return x

    check = tgk.check_gradients(f, X)
    line = f.python_function.__code__.co_firstlineno
    assert {op.where for op in check.wrong_ops} == {f"test_planted_errors.py:{line + 3}"}


def test_a_second_derivative_names_the_op_of_the_gradient():
    @tf.custom_gradient
    def first_is_right(x):
        return tf.sin(x), lambda upstream: upstream * tf.stop_gradient(tf.cos(x))

    check = tgk.check_gradients(lambda x: first_is_right(x) ** 2, X, order=2)
    assert "StopGradient" in [op.op for op in check.wrong_ops]


def test_one_op_alone():
    x = tf.constant(X)
    assert first_wrong_op(lambda x: tf.nn.relu(tf.sin(x)) + tf.nn.softmax(40 * x), [x]) is None
    found = first_wrong_op(lambda x: tf.sin(planted_by_hand(tf.tanh(x))), [x])
    assert found is not None
    assert found.op == "tf.custom_gradient"


def test_one_op_alone_by_another_judge():
    """Whoever compares two ways to a derivative learns at which op they part."""

    def judge(function, values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            (y,) = function(*values)
        return float(tf.reduce_any(tape.gradient(y, values[0]) > 0.9)) if y.shape == values[0].shape else 0.0

    found = first_wrong_op(lambda x: tf.exp(0.1 * tf.tanh(0.1 * x)), [tf.constant(X)], judge)
    assert found is not None
    assert (found.op, str(found.where).split(":")[0]) == ("Tanh", "test_planted_errors.py")
