"""``VerificationError`` names the op where a wrong derivative begins, and the user's line, by planted faults."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor

import tfgradkit as tgk
from tfgradkit.analysis.sparsity import domain
from tfgradkit.derivatives.op_by_op import differing_op
from tfgradkit.derivatives.taylor import taylor_rules
from tfgradkit.errors import VerificationError

X = np.random.default_rng(0).normal(size=(3, 4))
V = tf.Variable(1.5, dtype=tf.float64)


@contextlib.contextmanager
def wrong_converter(op_type):
    """The vectorized loop does ops of a type wrong, by a tenth."""
    registry = pfor._pfor_converter_registry
    true = registry[op_type]

    def skewed(result):
        return result._replace(t=1.1 * result.t) if isinstance(result, pfor.WrappedTensor) else 1.1 * result

    def wrong(given):
        results = true(given)
        one = isinstance(results, pfor.WrappedTensor) or tf.is_tensor(results)
        return skewed(results) if one else [skewed(result) for result in results]

    registry[op_type] = wrong
    try:
        yield
    finally:
        registry[op_type] = true


def function(x):
    y = tf.tanh(x)
    z = tf.cumsum(y, -1)
    return tf.sin(z) * y


LINES = {name: function.__code__.co_firstlineno + n for n, name in enumerate(("Tanh", "Cumsum", "Sin"), 1)}


def assert_named(call, *names):
    """The error has the op, its line, and so has its text."""
    with pytest.raises(VerificationError, match="begins at: op") as raised:
        call()
    error = raised.value
    assert error.op in names
    if error.op in LINES and "wrt=[V]" not in error.where:
        assert error.where.startswith(f"test_verify_names.py:{LINES[error.op]}: "), error.where
    assert error.where in str(error)
    assert error.error > 1e-3
    return error


@pytest.mark.parametrize("operator", ["jacobian", "hessian", "sparse_jacobian", "divergence"])
def test_of_a_wrong_converter(operator):
    call = getattr(tgk, operator)(function, batched=True)
    with wrong_converter("Cumsum"):
        assert_named(lambda: call(X[:, :3]), "Cumsum")


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("planted", ["Mul", "MatMul"])
def test_of_a_wrong_converter_of_an_op_that_the_search_itself_uses(mode, planted):
    def f(x):
        return tf.concat([tf.matmul(tf.square(x + x[::-1]), x[0, :, None]) * x for x in (x, 2 * x)], 0)

    with wrong_converter(planted):
        assert_named(lambda: tgk.jacobian(f, mode=mode)(X), planted, "Square", "StridedSlice", "ConcatV2")


def test_in_a_called_function_and_in_a_layer():
    called = tf.function(function)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Lambda(function, name="odd")])
    with wrong_converter("Cumsum"):
        assert_named(lambda: tgk.jacobian(lambda x: 2 * called(x))(X), "Cumsum")
        assert_named(lambda: tgk.jacobian(model)(X.astype("float32")), "Cumsum")


def test_by_variables_what_only_values_need_is_named():
    """Each sample's function is vectorized, too, so that values are wrong."""
    with wrong_converter("Cumsum"):
        error = assert_named(lambda: tgk.jacobian(lambda x: tf.cumsum(x, -1) * V, wrt=[V], batched=True)(X), "Cumsum")
    assert "wrt=[V]" in error.where


def test_compiled():
    with wrong_converter("Cumsum"):
        assert_named(lambda: tgk.jacobian(function, jit_compile=True)(X), "Cumsum")


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(("op_type", "part"), [("Tanh", "bend"), ("Cumsum", "slopes")])
def test_of_a_wrong_rule_of_jets(batched, op_type, part, monkeypatch):
    true = taylor_rules.RULES[op_type]

    def wrong(*given):
        return [replace(jet, **{part: 1.1 * getattr(jet, part)}) for jet in true(*given)]

    monkeypatch.setitem(taylor_rules.RULES, op_type, wrong)
    x = X[:, :3] if batched else X[0, :3]
    assert_named(lambda: tgk.laplacian(function, batched=batched)(x), op_type)


def test_of_a_wrong_pattern_of_an_op(monkeypatch):
    true = domain.RULES["Cumsum"]
    monkeypatch.setitem(domain.RULES, "Cumsum", lambda flow, op: [flow.numbers(op.inputs[0])])
    assert_named(lambda: tgk.sparse_jacobian(function)(X[0]), "Cumsum")
    monkeypatch.setitem(domain.RULES, "Cumsum", true)
    tgk.sparse_jacobian(function)(X[0])


def planted(order):
    """x³, whose derivative of that order is off by one percent."""

    @tf.custom_gradient
    def cube(x):
        def grad(upstream):
            @tf.custom_gradient
            def slope(x):
                return 3 * x**2 * (1.01 if order == 1 else 1), lambda u: u * 6 * x * (1.01 if order == 2 else 1)

            return upstream * slope(x)

        return x**3, grad

    return cube


def test_of_a_wrong_custom_gradient():
    cube = planted(1)

    def f(x):
        return tf.sin(cube(tf.tanh(x)))

    error = assert_named(lambda: tgk.jacobian(f, verify="differences")(X[0]), "tf.custom_gradient")
    assert error.where == f"test_verify_names.py:{f.__code__.co_firstlineno + 1}: return tf.sin(cube(tf.tanh(x)))"


def test_of_a_wrong_second_order():
    error = assert_named(lambda: tgk.hessian(planted(2), verify="differences")(X[0]), "tf.custom_gradient")
    assert "upstream * slope(x)" in error.where


def test_of_a_stopped_gradient():
    call = tgk.jacobian(lambda x: x * tf.stop_gradient(tf.tanh(x)), verify="differences")
    with pytest.raises(VerificationError) as raised:
        call(X[0])
    assert raised.value.op in (None, "StopGradient")


def test_a_search_that_fails_or_takes_too_long_leaves_the_error_as_it_is(monkeypatch):
    def fail(*given):
        raise RuntimeError

    for name, value in {"first_wrong_op": fail, "_SECONDS": -1.0}.items():
        monkeypatch.setattr(differing_op, name, value)
        with wrong_converter("Cumsum"), pytest.raises(VerificationError) as raised:
            tgk.jacobian(function)(X)
        assert raised.value.op is None
        assert "begins at" not in str(raised.value)


def test_a_good_call_searches_nothing(monkeypatch):
    searched = []
    monkeypatch.setattr(differing_op, "first_wrong_op", lambda *given: searched.append(given))
    tgk.jacobian(function, verify="differences")(X)
    assert searched == []
