"""What audit passes does pass, what it flags does fail: differentiated, compiled, exported; with healthy twins."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import keras
import layer_cases
import models
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.op_gradients.exact_functions import exact_functions

L = keras.layers
VECTOR = tf.TensorSpec([3], tf.float32)
MATRIX = tf.TensorSpec([2, 2], tf.float32)
IMAGE = tf.TensorSpec([1, 4, 4, 1], tf.float32)


def stack(shape, *layers, **keywords):
    return keras.Sequential([keras.Input(shape, **keywords), *layers])


def by_python(x):
    y = tf.py_function(lambda t: t * t * t, [x], tf.float32)
    y.set_shape(x.shape)
    return y


def by_numpy(x):
    y = tf.numpy_function(lambda a: a * 2, [x], tf.float32)
    y.set_shape(x.shape)
    return y


@tf.function
def rounded(x):
    return tf.round(x)


def while_small(x):
    while tf.reduce_sum(x) < 10.0:
        x = x * x + 1.0
    return x


def three_turns(x):
    for _ in tf.range(3):
        x = tf.sin(x)
    return x


def branch(x):
    if tf.reduce_sum(x) > 0:
        return tf.round(x)
    return tf.floor(x)


def dilated(x):
    return tf.nn.dilation2d(x, tf.ones([2, 2, 1]), [1] * 4, "VALID", "NHWC", [1] * 4)


class Case(NamedTuple):
    """A function, a healthy twin, and what is to be found of the first."""

    fn: Any
    twin: Any
    spec: Any
    kind: str
    op: str
    order: int = 1
    target: str = "eager"
    remedy: str = ""


CASES = {
    "round": Case(
        lambda x: 2 * tf.round(x), lambda x: x + tf.stop_gradient(tf.round(x) - x), VECTOR, "cut", "Round",
        remedy="tgk.straight_through(tf.round)"),
    "floor in a step": Case(tf.floor, lambda x: x - tf.floor(x), VECTOR, "cut", "Floor"),
    "argmax": Case(
        lambda x: tf.cast(tf.argmax(x), x.dtype), lambda x: tf.gather(x, tf.argmax(x)), VECTOR, "cut", "ArgMax",
        remedy="softmax"),
    "a comparison": Case(
        lambda x: tf.cast(x > 0, x.dtype), lambda x: x * tf.cast(x > 0, x.dtype), VECTOR, "cut", "Greater",
        remedy="sigmoid"),
    "a cast to whole numbers": Case(
        lambda x: tf.cast(tf.cast(x, tf.int32), x.dtype), lambda x: x * tf.cast(tf.shape(x)[0], x.dtype), VECTOR,
        "cut", "Cast"),
    "in a called function": Case(lambda x: 2 * rounded(x), lambda x: tf.tanh(x), VECTOR, "cut", "Round"),
    "in branches": Case(branch, three_turns, VECTOR, "cut", "Round"),
    "no gradient of the second order": Case(
        lambda x: tf.math.igamma(x, x), lambda x: tf.math.lgamma(x), VECTOR, "no gradient", "IgammaGradA", 2,
        remedy="tgk.custom_rule"),
    "no gradient of the gradient": Case(
        dilated, lambda x: tf.nn.max_pool2d(x, 2, 1, "VALID"), IMAGE, "no gradient", "Dilation2DBackpropInput", 2),
    "no gradient of the first order": Case(
        lambda x: tf.raw_ops.Dilation2DBackpropInput(
            input=x, filter=tf.ones([1, 1, 1]), out_backprop=x, strides=[1] * 4, rates=[1] * 4, padding="VALID"),
        lambda x: x * x, IMAGE, "no gradient", "Dilation2DBackpropInput"),
    "through NumPy": Case(
        by_numpy, lambda x: 2 * x, VECTOR, "left out", "PyFunc", remedy="tgk.wrap_external"),
    "through Python, twice": Case(
        by_python, lambda x: x**3, VECTOR, "left out", "EagerPyFunc", 2, remedy="tgk.wrap_external"),
    "a one-hot matrix of it": Case(
        lambda x: tf.one_hot([0, 1], 2, x[0], 0.0), lambda x: x[0] * tf.one_hot([0, 1], 2), VECTOR, "left out",
        "OneHot"),
    "no kernel": Case(
        lambda x: tf.math.erfinv(tf.cast(x, tf.float16)), tf.math.erfinv, VECTOR, "no kernel", "Erfinv",
        remedy="float32"),
    "no Jacobian": Case(by_python, lambda x: x**3, VECTOR, "not vectorized", "EagerPyFunc"),
    "a determinant compiled": Case(
        tf.linalg.det, lambda x: tf.linalg.trace(x), MATRIX, "not compiled", "MatrixDeterminant", target="xla",
        remedy="tf.linalg.lu"),
    "Python compiled": Case(
        by_python, lambda x: x**3, VECTOR, "not compiled", "EagerPyFunc", target="xla"),
    "a loop of unknown turns compiled": Case(
        while_small, three_turns, VECTOR, "not compiled", "StatelessWhile", target="xla",
        remedy="maximum_iterations"),
}  # fmt: skip


def made(fn, spec):
    return fn() if spec is None else fn


def specs_of(spec):
    return () if spec is None else (spec,)


def point(fn, spec):
    shape = fn.inputs[0].shape if spec is None else spec.shape
    return tf.constant(np.random.default_rng(0).uniform(0.2, 0.8, [n or 2 for n in shape]), tf.float32)


def derivatives(fn, x, order, compiled):
    """The gradient of a sum, or that of the gradient's; None where TensorFlow has none."""

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = fn(x, training=False) if isinstance(fn, keras.Model) else tf.function(fn)(x)
            y = tf.reduce_sum(tf.sin(y))
        return tape.gradient(y, x)

    def second(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            slope = gradient(x)
        return None if slope is None else tape.gradient(slope, x)

    with exact_functions():
        return tf.function(gradient if order == 1 else second, autograph=False, jit_compile=compiled)(x)


def works(fn, x, order=1, target="eager"):
    try:
        found = derivatives(fn, x, order, target == "xla")
    except (LookupError, NotImplementedError, ValueError, tf.errors.OpError):
        return False
    return found is not None and bool(np.any(found))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_flagged_is_named_and_fails(case, without_our_rules):
    fn = made(case.fn, case.spec)
    found = tgk.audit(fn, *specs_of(case.spec), order=case.order, target=case.target)
    failing = [obstacle for obstacle in found if obstacle.fails]
    assert not found.ok
    assert case.kind in {obstacle.kind for obstacle in failing}
    first = next(obstacle for obstacle in failing if obstacle.kind == case.kind)
    assert case.op in {obstacle.op for obstacle in failing} or not case.op
    assert case.remedy in first.remedy
    if case.kind == "not vectorized":
        with pytest.raises((tf.errors.OpError, tgk.errors.GradientError)):
            tgk.jacobian(fn)(point(fn, case.spec))
    else:
        assert not works(fn, point(fn, case.spec), case.order, case.target)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_healthy_twin_has_no_finding_and_works(case):
    twin = made(case.twin, case.spec)
    found = tgk.audit(twin, *specs_of(case.spec), order=case.order, target=case.target)
    assert found.ok
    assert [obstacle for obstacle in found if obstacle.kind != "not vectorized"] == [], str(found)
    order = 1 if case.op in ("Round", "Floor", "Cast", "ArgMax", "Greater") else case.order
    assert works(twin, point(twin, case.spec), order, case.target)


@pytest.mark.parametrize(
    "name", [n for n, c in CASES.items() if c.kind in ("no gradient", "left out") and c.order == 1]
)
def test_the_operators_refuse_what_is_flagged(name, without_our_rules):
    case = CASES[name]
    with pytest.raises(tgk.errors.GradientError):
        tgk.vjp(case.fn)(point(case.fn, case.spec), output_gradients=tf.ones_like(case.fn(point(case.fn, case.spec))))


def test_rounding_beside_another_way_is_a_note():
    found = tgk.audit(lambda x: x + 0.1 * tf.round(x), VECTOR)
    assert found.ok
    (note,) = found
    assert (note.kind, note.op, note.fails) == ("cut", "Round", False)


def test_what_no_derivative_passes_is_no_finding():
    def beside(x):
        tf.debugging.assert_greater(tf.round(x), -9.0)
        return x * tf.stop_gradient(tf.round(x)) + tf.cast(tf.argmax(tf.ones(3)), tf.float32)

    assert list(tgk.audit(beside, VECTOR)) == []


def test_a_mask_that_is_an_argument_is_no_finding():
    found = tgk.audit(lambda x, mask: tf.where(mask > 0.5, x, 0.0), VECTOR, VECTOR)
    assert list(found) == []
    found = tgk.audit(lambda x, levels: x * tf.round(levels), VECTOR, VECTOR)
    assert not found.ok  # the derivative by levels


def by_plain_numpy(x):
    y = 2.0 * x
    return np.sin(y)


@pytest.mark.parametrize("fn", [by_plain_numpy, lambda x: np.sin(x)], ids=["statements", "lambda"])
def test_a_function_that_leaves_tensorflow(fn):
    (found,) = tgk.audit(fn, VECTOR)
    assert (found.kind, found.op, found.fails) == ("left out", "numpy", True)
    assert found.where.startswith("test_audit.py:")
    assert "np.sin" in found.code
    assert "tf.math" in found.remedy
    with pytest.raises(tgk.errors.GradientError, match="leaves TensorFlow"):
        tgk.locate_nonfinite(fn, tf.ones(3))


def test_a_custom_gradient_is_the_users_business():
    @tf.custom_gradient
    def straight(x):
        return tf.round(x), lambda u: u

    assert list(tgk.audit(straight, VECTOR)) == []
    assert works(straight, tf.constant([0.2, 0.7, 1.1]))


def test_what_cannot_be_vectorized_is_a_note_that_is_true():
    def turned(x):
        return tf.reverse_sequence(x[None], [2], 1)[0] ** 2

    found = tgk.audit(turned, VECTOR)
    assert found.ok
    (note,) = found
    assert (note.kind, note.op) == ("not vectorized", "ReverseSequence")
    x = tf.constant([0.1, 0.2, 0.3])
    with pytest.raises(tgk.errors.GradientError, match="vectorized"):
        tgk.jacobian(turned, strategy="vectorize", mode="reverse")(x)
    np.testing.assert_allclose(tgk.jacobian(turned)(x), np.diag(2 * x)[[1, 0, 2]], rtol=1e-6)
    assert list(tgk.audit(lambda x: tf.pad(x, [[1, 1]]) ** 2, VECTOR)) == []


# One of each kind of layer; recurrent ones take longer than all others together.
EAGER = (
    "Dense", "Conv1D", "Conv2D", "Conv2D/groups", "Conv3D", "DepthwiseConv2D", "SpectralNormalization", "Attention",
    "BatchNormalization", "GroupNormalization", "UnitNormalization", "Softmax", "Masking", "PReLU", "Dropout", "Dot",
    "Maximum", "RepeatVector", "ZeroPadding2D", "AveragePooling2D", "MaxPooling2D", "MaxPooling3D",
    "GlobalMaxPooling2D", "UpSampling2D/bilinear", "UpSampling2D/lanczos3", "Resizing/area", "Resizing/bicubic",
    "CenterCrop", "STFTSpectrogram", "RandomZoom", "AutoContrast",
)  # fmt: skip
COMPILED = (
    "Dense", "Conv2D/groups", "BatchNormalization", "Softmax", "MaxPooling2D", "UpSampling2D/bilinear",
    "UpSampling2D/lanczos3", "Resizing/area", "Resizing/bicubic", "Dot", "SimpleRNN", "RandomZoom",
)  # fmt: skip


def layer_model(name):
    case = layer_cases.CASES[name]

    def make():
        inputs = [keras.Input(shape, dtype=case.dtype) for shape in case.shapes]
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], case.make(*inputs))

    return models.build(make, case.dtype), case


def layer_works(model, case, order, compiled):
    generator = np.random.default_rng(0)
    xs = [tf.cast(generator.uniform(case.low, case.high, (2, *shape)), case.dtype) for shape in case.shapes]
    sizes = [int(np.prod(x.shape)) for x in xs]

    def flat(z):
        parts = [tf.reshape(part, x.shape) for part, x in zip(tf.split(z, sizes), xs, strict=True)]
        y = tf.nest.flatten(model(parts if len(parts) > 1 else parts[0], training=False))
        return tf.concat([tf.reshape(tf.cast(t, z.dtype), [-1]) for t in y], 0)

    try:
        found = derivatives(flat, tf.concat([tf.reshape(x, [-1]) for x in xs], 0), order, compiled)
    except (LookupError, NotImplementedError, ValueError, tf.errors.OpError):
        return False
    return found is not None


@pytest.mark.parametrize("name", EAGER)
def test_a_layer_is_audited_as_it_is_differentiated_twice(name):
    model, case = layer_model(name)
    found = tgk.audit(model, order=2)
    assert found.ok == layer_works(model, case, 2, False), str(found)


@pytest.mark.parametrize("name", COMPILED)
def test_a_layer_is_audited_as_it_is_compiled(name):
    model, case = layer_model(name)
    found = tgk.audit(model, target="xla")
    assert found.ok == layer_works(model, case, 1, True), str(found)


def test_the_layer_of_a_model_is_named():
    model = stack((4, 4, 3), L.UpSampling2D(2, interpolation="lanczos3", name="larger"), L.Conv2D(1, 2))
    found = tgk.audit(model, target="xla")
    assert {obstacle.layer for obstacle in found if obstacle.fails} == {"larger"}
    assert all(obstacle.where is None for obstacle in found)
    assert tgk.audit(model).ok


class Rounding(L.Layer):
    """A custom layer that stops the derivative."""

    def call(self, x):
        """Whole numbers."""
        return tf.round(x)


def test_the_line_of_a_custom_layer_is_named():
    (found,) = tgk.audit(stack((2,), L.Dense(2), Rounding(name="whole"), L.Dense(1)))
    assert (found.layer, found.code) == ("whole", "return tf.round(x)")
    assert found.where.startswith("test_audit.py:")


def test_a_model_that_is_not_built_and_a_derivative(without_our_rules):
    assert tgk.audit(keras.Sequential([L.Dense(2)]), tf.TensorSpec([None, 3]), target="xla").ok
    model = stack((3,), L.Dense(2, "tanh"))
    assert list(tgk.audit(tgk.jacobian(model))) == []
    assert not tgk.audit(tgk.jacobian(stack((1, 4), L.Lambda(lambda x: tf.math.igamma(x, x)))), order=1).ok


def test_derivatives_by_parameters():
    model = stack((2,), Rounding(), L.Dense(1))
    assert not tgk.audit(model).ok
    assert tgk.audit(model, wrt="parameters").ok  # the weights come after the rounding


def test_a_model_that_the_library_takes(tmp_path):
    model = stack((2,), L.Dense(3, "tanh"), L.Dense(1))
    assert list(tgk.audit(model, order=2, target="native")) == []
    tgk.export_native(model, tmp_path / "out", "taken", ("jacobian",), tile=8, targets=("x86-64",))


@pytest.mark.parametrize(
    ("make", "op", "layer", "word"),
    [
        (lambda: stack((4, 4, 1), L.Resizing(2, 2, "bicubic", name="shrink")), "ResizeBicubic", "shrink", "bilinear"),
        (lambda: stack((2,), L.Dense(2, dtype="float16", name="half"), dtype="float16"), "", None, "float16"),
    ],
    ids=["an op that XLA doesn't have", "float16"],
)
def test_a_model_that_the_library_refuses(make, op, layer, word, tmp_path):
    model = make()
    found = tgk.audit(model, target="native")
    assert not found.ok
    assert {obstacle.layer for obstacle in found} == {layer}
    assert any(op in obstacle.op for obstacle in found)
    assert word in str(found)
    with pytest.raises(tgk.errors.UnsupportedModelError):
        tgk.export_native(model, tmp_path / "out", "refused")


def test_the_library_takes_whole_numbers_but_no_derivatives_by_them():
    (found,) = tgk.audit(stack((3,), L.Embedding(5, 2), dtype="int32"), target="native")
    assert (found.order, "no input is floating" in found.text) == (1, True)
    words, x = keras.Input((3,), dtype="int32"), keras.Input((2,))
    beside = keras.Model([words, x], L.Concatenate()([L.Flatten()(L.Embedding(5, 2)(words)), x]))
    assert tgk.audit(beside, target="native").ok


def test_a_function_with_its_line_is_refused_by_the_library():
    def noisy(x):
        return x * tf.random.stateless_uniform(x.shape, [1, 2], dtype=x.dtype)

    (found,) = tgk.audit(noisy, MATRIX, target="native")
    assert "StatelessRandomUniform" in found.op
    assert found.code == "return x * tf.random.stateless_uniform(x.shape, [1, 2], dtype=x.dtype)"
    assert tgk.audit(tf.linalg.inv, MATRIX, target="native").ok
    assert tgk.audit(lambda x: tf.exp(x), MATRIX, target="native").ok


def test_text_and_data():
    found = tgk.audit(CASES["round"].fn, VECTOR)
    text = str(found)
    assert text.splitlines()[0] == "<lambda>, derivatives of order 1, eager: 1 kind of op fails"
    assert "in      test_audit.py:" in text
    assert "instead tgk.straight_through(tf.round)(x)" in text
    data = json.loads(json.dumps(found.as_dict()))
    assert (data["ok"], data["obstacles"][0]["op"]) == (False, "Round")
    assert not found
    assert len(found) == 1
    assert str(tgk.audit(tf.tanh, VECTOR)).endswith("nothing stands in the way")


@pytest.mark.parametrize("wrong", [{"order": 3}, {"order": True}, {"target": "gpu"}, {"wrt": "weights"}], ids=str)
def test_a_wrong_choice_is_refused(wrong):
    with pytest.raises(tgk.errors.SignatureError, match=next(iter(wrong))):
        tgk.audit(tf.tanh, VECTOR, **wrong)


def test_a_function_without_specs_is_refused():
    with pytest.raises(tgk.errors.SignatureError, match="specs"):
        tgk.audit(lambda x: x)
