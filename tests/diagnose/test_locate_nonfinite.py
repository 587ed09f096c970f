"""The first op that makes NaN or Inf: each case with a healthy twin, which is no finding, and its safe form run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.diagnose.nonfinite import nonfinite_causes as causes

L = keras.layers
INF = float("inf")


def where_sqrt(x):
    return tf.where(x > 0, tf.sqrt(x), 0.0)


def where_log(x):
    return tf.where(x > 0, tf.math.log(x), 0.0)


def norm(x):
    return tf.norm(x)


def spread(x):
    return tf.math.reduce_std(x)


def root(x):
    return tf.sqrt(x)


def logarithm(x):
    return tf.math.log(x)


def quotient(x):
    return 1.0 / x


def own_softmax(x):
    raised = tf.exp(x)
    return raised / tf.reduce_sum(raised)


def power(x):
    return x**0.5


def angle(x):
    return tf.acos(x)


def direction(x):
    return tf.atan2(x[0], x[1])


def square(x):
    return x * x


def product(x):
    return tf.linalg.matvec(tf.ones([2, 2], x.dtype), x)


def narrowed(x):
    return tf.cast(x, tf.float16)


def masked(x, mask):
    return tf.nn.softmax(tf.where(mask, x, -INF))


def zero_times_infinity(x):
    return 0.0 * tf.exp(x)


class Case(NamedTuple):
    """A function, where it is not finite and where it is, and what is to be found."""

    fn: Callable[..., Any]
    bad: Any
    healthy: Any
    direction: str
    op: str
    forward_op: str | None = None
    values: Mapping[str, float] = MappingProxyType({})
    index: tuple[int, ...] = ()
    cause: str = ""
    remedy: str = ""
    dtype: str = "float32"


CASES = {
    "where over sqrt, at 0": Case(
        where_sqrt, [1.0, 0.0], [1.0, 4.0], "backward", "SqrtGrad", "Sqrt", {"y": 0, "dy": 0}, (1,),
        "0 · Inf", "safe = tf.where(x > 0, x, 1.0)"),
    "where over sqrt, below 0": Case(
        where_sqrt, [1.0, -4.0], [1.0, 4.0], "forward", "Sqrt", None, {"x": -4}, (1,), "tf.where", "safe"),
    "where over log, at 0": Case(
        where_log, [1.0, 0.0], [1.0, -4.0], "backward", "Reciprocal", "Log", {"x": 0}, (1,), "0 · Inf", "tf.maximum"),
    "norm of 0": Case(
        norm, [0.0, 0.0], [0.0, 1.0], "backward", "SqrtGrad", "Sqrt", {"y": 0, "dy": 1}, (0,), "norm", "squares"),
    "spread of equal numbers": Case(
        spread, [2.0, 2.0], [2.0, 3.0], "backward", "SqrtGrad", "Sqrt", {"y": 0}, (), "deviation", "variance"),
    "sqrt of 0": Case(
        root, [4.0, 0.0], [4.0, 1.0], "backward", "SqrtGrad", "Sqrt", {"y": 0}, (1,), "infinite at x = 0", "safe"),
    "sqrt below 0": Case(root, [-1.0], [1.0], "forward", "Sqrt", None, {"x": -1}, (0,), "negative", "safe"),
    "log of 0": Case(logarithm, [1.0, 0.0], [1.0, 2.0], "forward", "Log", None, {"x": 0}, (1,), "log(0)", "maximum"),
    "log below 0": Case(logarithm, [-1.0], [2.0], "forward", "Log", None, {"x": -1}, (0,), "negative", "maximum"),
    "division by 0": Case(
        quotient, [0.0, 1.0], [2.0, 1.0], "forward", "RealDiv", None, {"x": 1, "y": 0}, (0,), "division by 0",
        "divide_no_nan"),
    "overflow in a softmax by hand": Case(
        own_softmax, [1.0, 100.0], [1.0, 10.0], "forward", "Exp", None, {"x": 100}, (1,), "overflows float32",
        "tf.nn.softmax(x)"),
    "power at 0": Case(power, [0.0], [1.0], "backward", "Pow", "Pow", {"x": 0, "y": -0.5}, (0,), "xᵖ", "tf.pow(safe"),
    "power of a negative number": Case(power, [-1.0], [1.0], "forward", "Pow", None, {"x": -1}, (0,), "negative", ""),
    "acos at 1": Case(
        angle, [0.0, 1.0], [0.0, 0.5], "backward", "Reciprocal", "Acos", {"x": 0}, (1,), "±1", "clip_by_value"),
    "acos beyond 1": Case(angle, [1.5], [0.5], "forward", "Acos", None, {"x": 1.5}, (0,), "|x| ≤ 1", "clip_by_value"),
    "atan2 at 0, 0": Case(
        direction, [0.0, 0.0], [0.0, 1.0], "backward", "RealDiv", "Atan2", {"y": 0}, (), "(0, 0)", "away"),
    "a square beyond float16": Case(
        square, [1.0, 300.0], [1.0, 200.0], "forward", "Mul", None, {"x": 300}, (1,), "65504", "tf.float32",
        "float16"),
    "a matrix product beyond float16": Case(
        product, [6e4, 6e4], [1e4, 1e4], "forward", "MatMul", None, {}, (0, 0), "65504", "tf.float32",
        "float16"),
    "a cast to float16": Case(
        narrowed, [1e5], [1e3], "forward", "Cast", None, {"x": 1e5}, (0,), "65504", "scale"),
    "0 · Inf": Case(zero_times_infinity, [200.0], [2.0], "forward", "Exp", None, {"x": 200}, (0,), "overflows", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_op_and_its_numbers_are_named(case):
    found = tgk.locate_nonfinite(case.fn, tf.constant(case.bad, case.dtype))
    assert not found.ok
    assert (found.direction, found.op, found.forward_op) == (case.direction, case.op, case.forward_op)
    values = {operand.name: operand.value for operand in found.inputs}
    assert {name: values[name] for name in case.values} == pytest.approx(case.values)
    assert found.index[: len(case.index)] == case.index
    assert case.cause in found.cause
    assert case.remedy in found.remedy
    assert found.where.startswith("test_locate_nonfinite.py:")
    assert found.code in Path(__file__).read_text()
    assert str(found).count("\n") >= 4
    assert json.loads(json.dumps(found.as_dict()))["op"] == case.op


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_healthy_twin_is_no_finding(case):
    found = tgk.locate_nonfinite(case.fn, tf.constant(case.healthy, case.dtype))
    assert found.ok, str(found)
    assert str(found) == "everything is finite"


def gradient(fn, *arguments, compiled):
    def by_tape(*xs):
        with tf.GradientTape() as tape:
            tape.watch(xs)
            y = fn(*xs)
        return y, tape.gradient(y, xs)

    return tf.function(by_tape, jit_compile=compiled)(*arguments)


def is_finite(results):
    return all(np.isfinite(t).all() for t in tf.nest.flatten(results) if t is not None)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_found_is_what_tensorflow_computes(case):
    """A finding where the numbers are not finite, and that compiling alone makes them so only where it does."""
    x = tf.constant(case.bad, case.dtype)
    found = tgk.locate_nonfinite(case.fn, x)
    assert is_finite(gradient(case.fn, x, compiled=False)) == found.compiled_only
    if found.compiled_only:
        assert not is_finite(gradient(case.fn, x, compiled=True))
        assert "compiled by XLA" in str(found)


SAFE = {
    "sqrt": (causes.BACKWARD["Sqrt"], {"x": [0.0, 4.0, -1.0]}),
    "rsqrt": (causes.BACKWARD["Rsqrt"], {"x": [0.0, 4.0]}),
    "log": (causes.BACKWARD["Log"], {"x": [0.0, 4.0]}),
    "log1p": (causes.BACKWARD["Log1p"], {"x": [-1.0, 4.0]}),
    "norm": (causes.cause_of("SqrtGrad", [], "float32", "Sqrt", "norm/Sqrt"), {"x": [[0.0, 0.0], [3.0, 4.0]]}),
    "spread": (causes.cause_of("SqrtGrad", [], "float32", "Sqrt", "reduce_std/Sqrt"), {"x": [2.0, 2.0]}),
    "division": (causes.BACKWARD["RealDiv"], {"a": [1.0, 0.0], "b": [0.0, 0.0]}),
    "reciprocal": (causes.BACKWARD["Reciprocal"], {"x": [0.0, 2.0]}),
    "power": (causes.BACKWARD["Pow"], {"x": [0.0, 2.0], "p": [0.5, 0.5]}),
    "exp": (causes.cause_of("Exp", [200.0], "float32"), {"x": [200.0, 1.0]}),
    "acos": (causes.BACKWARD["Acos"], {"x": [1.0, -1.0, 0.5]}),
    "asin": (causes.BACKWARD["Asin"], {"x": [1.0, -1.0]}),
    "atanh": (causes.BACKWARD["Atanh"], {"x": [1.0, 0.0]}),
    "acosh": (causes.BACKWARD["Acosh"], {"x": [1.0, 2.0]}),
    "erfinv": (causes.BACKWARD["Erfinv"], {"x": [1.0, 0.0]}),
    "atan2": (causes.BACKWARD["Atan2"], {"a": [0.0, 1.0], "b": [0.0, 1.0]}),
    "xlogy": (causes.BACKWARD["Xlogy"], {"x": [1.0], "y": [0.0]}),
    "masked softmax": (causes.cause_of("Softmax", [None], "float32"), {"x": [-INF, -INF]}),
    "remainder": (causes.cause_of("FloorMod", [1.0, 0.0], "float32"), {"a": [1.0], "b": [0.0]}),
    "mean of nothing": (causes.cause_of("Mean", [None], "float32"), {"x": []}),
    "singular matrix": (
        causes.cause_of("MatrixSolve", [None], "float32"), {"m": [[0.0, 0.0], [0.0, 0.0]], "b": [[1.0], [1.0]]}),
    "equal eigenvalues": (causes.BACKWARD["SelfAdjointEigV2"], {"m": [[1.0, 0.0], [0.0, 1.0]]}),
    "equal singular values": (causes.BACKWARD["Svd"], {"m": [[1.0, 0.0], [0.0, 1.0]]}),
    "not positive definite": (causes.cause_of("Cholesky", [None], "float32"), {"m": [[1.0, 1.0], [1.0, 1.0]]}),
}  # fmt: skip


@pytest.mark.parametrize(("cause", "given"), SAFE.values(), ids=SAFE)
def test_the_safe_form_is_code_that_is_finite(cause, given):
    given = {name: tf.constant(value, tf.float32) for name, value in given.items()}
    with tf.GradientTape() as tape:
        tape.watch(given)
        names = {"tf": tf, "n": 2, "epsilon": 1e-6, **given}
        exec(cause.remedy, names)
    assert is_finite(names["y"])
    assert is_finite(tape.gradient(names["y"], given))


def test_a_mask_of_minus_infinity_is_harmless_unless_a_whole_row_is_masked():
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert tgk.locate_nonfinite(masked, x, tf.constant([[True, False], [True, True]])).ok
    found = tgk.locate_nonfinite(masked, x, tf.constant([[True, False], [False, False]]))
    assert (found.op, found.value, found.index[0]) == ("Softmax", "NaN", 1)
    assert "masked" in found.cause


def test_a_mask_that_is_closed_over():
    mask = np.zeros((2, 200), np.float32)
    mask[1] = -INF
    tensor = tf.constant(mask)
    found = tgk.locate_nonfinite(lambda x: tf.nn.softmax(x + tensor), tf.zeros([2, 200]))
    assert (found.op, found.index) == ("Softmax", (1, 0))
    assert tgk.locate_nonfinite(lambda x: tf.nn.softmax(x + tensor[:1]), tf.zeros([1, 200])).ok
    found = tgk.locate_nonfinite(lambda x: x + tensor, tf.zeros([2, 200]))
    assert "the constant [2, 200] that the function closes over itself is Inf" in str(found)


def test_a_division_that_a_finite_value_hides_is_harmless():
    assert tgk.locate_nonfinite(lambda x: tf.exp(-1.0 / tf.stop_gradient(x * x)), tf.constant([0.0, 1.0])).ok


def test_of_two_the_one_on_the_way_is_named():
    def two(x):
        hidden = tf.stop_gradient(1.0 / x)  # Inf, but the other branch is taken
        return tf.where(x > 0, hidden, tf.math.log(x))

    found = tgk.locate_nonfinite(two, tf.constant([1.0, 0.0]))
    assert (found.op, found.index) == ("Log", (1,))


@tf.function
def inner(x):
    return tf.sqrt(x) * 2.0


def test_inside_a_called_function():
    found = tgk.locate_nonfinite(lambda x: inner(x) + 1.0, tf.constant([0.0, 1.0]))
    assert (found.op, found.forward_op) == ("SqrtGrad", "Sqrt")
    assert found.code == "return tf.sqrt(x) * 2.0"
    assert tgk.locate_nonfinite(lambda x: inner(x) + 1.0, tf.constant([2.0, 1.0])).ok


def repeated_root(x):
    for _ in tf.range(3):
        x = tf.sqrt(x) - 1.0
    return x


def test_inside_a_loop_with_the_turn():
    found = tgk.locate_nonfinite(repeated_root, tf.constant([100.0, 2.0]))
    assert (found.op, found.index, found.turn) == ("Sqrt", (1,), 3)
    assert found.inputs[0].value == pytest.approx(np.sqrt(np.sqrt(2.0) - 1.0) - 1.0)
    assert "turn 3 of the loop" in str(found)
    found = tgk.locate_nonfinite(repeated_root, tf.constant(1.0))  # √1 - 1 = 0, whose root has no derivative
    assert (found.direction, found.forward_op, found.inputs[0].value) == ("forward", None, -1.0)
    found = tgk.locate_nonfinite(repeated_root, tf.constant(25.0))  # 25, 4, 1, 0
    assert found.ok
    found = tgk.locate_nonfinite(lambda x: tf.foldl(lambda a, b: tf.sqrt(a) * b, x), tf.constant([0.0, 1.0]))
    assert (found.direction, found.forward_op) == ("backward", "Sqrt")


def chosen(x):
    if tf.reduce_sum(x) > 0:
        return tf.math.log(x)
    return x


def test_inside_a_branch_that_is_taken():
    found = tgk.locate_nonfinite(chosen, tf.constant([0.0, 2.0]))
    assert (found.op, found.code) == ("Log", "return tf.math.log(x)")
    assert tgk.locate_nonfinite(chosen, tf.constant([0.0, -2.0])).ok


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((3,)),
        L.Dense(4, "tanh", name="first"),
        L.BatchNormalization(),
        L.Dropout(0.5),
        L.Dense(2, "exponential", name="last"),
    ]
    return keras.Sequential(layers, name="model")


@pytest.mark.parametrize("wrt", ["inputs", "parameters"])
def test_a_model_in_training_is_as_before_afterwards(model, wrt):
    before = [variable.numpy() for variable in model.variables]
    assert tgk.locate_nonfinite(model, np.ones((2, 3)), training=True, wrt=wrt).ok
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_an_input_that_is_not_finite_is_said_so(model):
    x = np.ones((3, 3))
    x[1, 2] = np.nan
    found = tgk.locate_nonfinite(model, x)
    assert (found.direction, found.name, found.index, found.sample) == ("input", "x", (1, 2), 1)
    assert "the input x itself is NaN at [1, 2]" in str(found)


def test_a_weight_that_is_not_finite_is_said_so(model):
    kernel = model.get_layer("first").kernel
    before = kernel.numpy()
    try:
        kernel.assign(np.where(np.eye(3, 4) > 0, np.inf, before))
        found = tgk.locate_nonfinite(model, np.ones((2, 3)), training=True)
        assert found.direction == "variable"
        assert "first/kernel" in found.name
    finally:
        kernel.assign(before)


def test_the_layer_and_the_sample_are_named(model):
    kernel = model.get_layer("last").kernel
    before = kernel.numpy()
    try:
        kernel.assign(np.full((4, 2), 1e3))
        x = np.zeros((3, 3))
        x[2] = np.linalg.lstsq(model.get_layer("first").kernel.numpy().T, np.ones(4), rcond=None)[0]
        found = tgk.locate_nonfinite(model, x)
        assert (found.op, found.layer, found.sample) == ("Exp", "last", 2)
        assert found.where is None  # no line of the user's made it
    finally:
        kernel.assign(before)


class Distance(L.Layer):
    """A custom layer with a norm."""

    def call(self, x):
        """The length of each row."""
        return tf.norm(x, axis=-1, keepdims=True)


def test_a_custom_layer_is_named_with_its_line():
    model = keras.Sequential([keras.Input((2,)), Distance(name="distance"), L.Dense(1)])
    found = tgk.locate_nonfinite(model, np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert (found.layer, found.sample, found.forward_op) == ("distance", 1, "Sqrt")
    assert found.code == "return tf.norm(x, axis=-1, keepdims=True)"
    assert tgk.locate_nonfinite(model, np.array([[3.0, 4.0], [0.0, 1.0]])).ok


def test_mixed_precision_overflow_in_a_layer():
    model = keras.Sequential([keras.Input((2,)), L.Dense(1, dtype="mixed_float16", name="half")])
    model.get_layer("half").set_weights([np.full((2, 1), 3e4), np.zeros(1)])
    found = tgk.locate_nonfinite(model, np.array([[2.0, 2.0]]))
    assert (found.layer, found.value) == ("half", "Inf")
    assert "65504" in found.cause
    assert tgk.locate_nonfinite(model, np.array([[1.0, 1.0]])).ok


def test_recurrence_and_attention_are_healthy():
    x, y = keras.Input((3, 2)), keras.Input((3, 2))
    attended = L.MultiHeadAttention(1, 2)(L.LSTM(2, return_sequences=True)(x), y, use_causal_mask=True)
    model = keras.Model([x, y], attended)
    found = tgk.locate_nonfinite(model, [np.ones((2, 3, 2)), np.zeros((2, 3, 2))])
    assert found.ok, str(found)


def test_a_function_without_a_gradient_is_looked_at_forward(without_our_rules):
    found = tgk.locate_nonfinite(lambda x: tf.cast(tf.argmax(x), tf.float32), tf.constant([1.0, 2.0]))
    assert found.ok
    found = tgk.locate_nonfinite(lambda x: tf.raw_ops.Dilation2DBackpropInput(
        input=x, filter=tf.ones([1, 1, 1]), out_backprop=1.0 / x, strides=[1] * 4, rates=[1] * 4, padding="VALID"),
        tf.zeros([1, 1, 1, 1]))  # fmt: skip
    assert found.op == "RealDiv"
    assert "there is no gradient" in found.note


def test_an_infinity_of_the_function_itself_is_said_so():
    found = tgk.locate_nonfinite(lambda x: x + INF, tf.constant([1.0]))
    assert (found.op, found.value) == ("Const", "Inf")


def test_a_gradient_inside_the_function():
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.norm(x)
        return tape.gradient(y, x)

    found = tgk.locate_nonfinite(slope, tf.zeros(3))
    assert (found.op, found.forward_op, found.direction) == ("SqrtGrad", "Sqrt", "forward")
    assert found.code == "y = tf.norm(x)"
    assert "squares" in found.remedy
    assert tgk.locate_nonfinite(slope, tf.ones(3)).ok


def test_guards_and_prints_do_not_end_the_run(capfd):
    def guarded(x):
        tf.print("printed")
        return tf.debugging.check_numerics(tf.math.log(x), "bad")

    assert tgk.locate_nonfinite(guarded, tf.constant([0.0])).op == "Log"
    assert "printed" not in "".join(capfd.readouterr())


def test_lists_of_tensors_are_followed():
    def listed(x):
        array = tf.TensorArray(x.dtype, 3)
        for i in range(3):
            array = array.write(i, tf.math.log(x[i]))
        return array.stack()

    found = tgk.locate_nonfinite(listed, tf.constant([1.0, 0.0, 2.0]))
    assert (found.op, found.inputs[0].value) == ("Log", 0.0)
    assert tgk.locate_nonfinite(listed, tf.constant([1.0, 3.0, 2.0])).ok


def test_a_python_function_is_named():
    found = tgk.locate_nonfinite(lambda x: tf.py_function(tf.math.log, [x], tf.float32), tf.constant([1.0, 0.0]))
    assert (found.op, found.index) == ("EagerPyFunc", (1,))
    assert "Python function" in found.cause


def test_no_numbers_are_finite():
    found = tgk.locate_nonfinite(root, tf.zeros([0]))
    assert found.ok
    assert "no numbers" in str(found)


def test_a_saved_model_is_looked_into(tmp_path):
    model = keras.Sequential([keras.Input((2,)), L.Dense(1, use_bias=False), L.Lambda(keras.ops.log)])
    model.set_weights([np.ones((2, 1))])
    tgk.export_saved_model(model, tmp_path / "saved", ("value",))
    loaded = tgk.load(tmp_path / "saved")
    found = tgk.locate_nonfinite(loaded, np.array([[1.0, 1.0], [1.0, -1.0]], np.float32))
    assert (found.op, found.index, found.where) == ("Log", (1, 0), None)
    assert tgk.locate_nonfinite(loaded, np.ones((2, 2), np.float32)).ok


def test_a_wrong_choice_is_refused():
    with pytest.raises(tgk.errors.SignatureError, match="wrt"):
        tgk.locate_nonfinite(root, tf.constant([1.0]), wrt="weights")
