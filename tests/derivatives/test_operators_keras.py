"""The operators on Keras models and layers against finite differences; and what all of them refuse."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import ACTIVATIONS, BRANCH, activation_branches, branches, build, layer_branches, mlp

import tfgradkit as tgk
from tfgradkit.errors import GradientError, SignatureError, SourceError

L = keras.layers
BRANCHES = {**activation_branches(), **layer_branches()}
FAMILIES = {"activations": activation_branches, "layers": layer_branches}
PLANS = [(mode, strategy) for mode in ("forward", "reverse") for strategy in ("vectorize", "loop")]
plans = pytest.mark.parametrize(("mode", "strategy"), PLANS, ids=["_".join(p) for p in PLANS])
# This seed keeps x and what enters the activations 0.05 away from every kink (0, ±0.1, ±0.5, ±1, ±3).
X = np.random.default_rng(84).uniform(-1, 1, (3, BRANCH))


def differences(f, x, h=1e-3):
    """Central differences of f along each number of a sample, exact to h**4."""
    columns = []
    for index in np.ndindex(x.shape[1:]):
        step = np.zeros(x.shape[1:])
        step[index] = h
        near, far = f(x + step) - f(x - step), f(x + 2 * step) - f(x - 2 * step)
        columns.append((8 * near - far) / (12 * h))
    stacked = np.stack(columns, -1)
    return stacked.reshape(*stacked.shape[:-1], *x.shape[1:])


def value(model):
    return lambda x: model(x).numpy()


@functools.cache
def family(kind):
    """All branches of one kind as one model, whose activations all see the same numbers."""
    model = build(lambda: branches(FAMILIES[kind]()), "float64")
    if kind == "activations":
        generator = np.random.default_rng(2)
        shared = [generator.uniform(-0.8, 0.8, shape) for shape in ((BRANCH, 6), (6,))]
        for layer in model.layers:
            if isinstance(layer, L.Dense) and not layer.name.startswith("end_"):
                layer.set_weights(shared)
    return model


@functools.cache
def family_derivative(kind, operator, **keywords):
    return getattr(tgk, operator)(family(kind), **keywords)


def family_result(kind, operator, **keywords):
    return family_derivative(kind, operator, **keywords)(X).numpy()


@functools.cache
def family_differences(kind, order):
    if order == 1:
        return differences(value(family(kind)), X)
    jacobian = family_derivative(kind, "jacobian", mode="forward", strategy="vectorize")
    return differences(lambda x: jacobian(x).numpy(), X)


def rows(result, name):
    """The outputs of one branch."""
    at = list(FAMILIES[kind_of(name)]()).index(name) * BRANCH
    return result[:, at : at + BRANCH]


def kind_of(name):
    return "activations" if name in ACTIVATIONS else "layers"


@pytest.mark.parametrize("name", BRANCHES)
@pytest.mark.parametrize("strategy", ["vectorize", "loop"])
def test_forward_jacobian_is_the_difference_quotient(name, strategy):
    jacobian = family_result(kind_of(name), "jacobian", mode="forward", strategy=strategy)
    expected = family_differences(kind_of(name), 1)
    np.testing.assert_allclose(rows(jacobian, name), rows(expected, name), rtol=1e-10, atol=1e-10)


# Where TensorFlow has no vectorized form of an op (ScatterNd, TensorList ops under a transposed loop):
# "auto" has to find the loop by itself, and "vectorize" to say so.
WITHOUT_VECTORIZED_FORM = {("sparsemax", "reverse"), ("LSTM", "forward")}


@pytest.mark.parametrize("name", BRANCHES)
@pytest.mark.parametrize("strategy", ["vectorize", "loop"])
def test_reverse_jacobian_agrees_with_forward_to_rounding(name, strategy):
    whole = family(kind_of(name))
    # One branch alone: passes written out through the whole family would take a minute to trace.
    branch = keras.Model(whole.inputs, whole.get_layer(f"end_{name}").output)
    strategy = "auto" if (name, "reverse") in WITHOUT_VECTORIZED_FORM and strategy == "vectorize" else strategy
    reverse = tgk.jacobian(branch, mode="reverse", strategy=strategy)(X)
    forward = [family_result(kind_of(name), "jacobian", mode="forward", strategy=s) for s in ("vectorize", "loop")]
    for result in forward:
        np.testing.assert_allclose(reverse, rows(result, name), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", BRANCHES)
def test_hessian_is_the_difference_quotient_of_the_jacobian(name):
    hessian = family_result(kind_of(name), "hessian")
    np.testing.assert_allclose(rows(hessian, name), rows(family_differences(kind_of(name), 2), name), atol=1e-9)


def sequential(shape, *layers, dtype="float64"):
    return build(lambda: keras.Sequential([keras.Input(shape, dtype=dtype), *(make() for make in layers)]), dtype)


SEQUENCES = {
    "Conv1D": lambda: sequential((4, 2), lambda: L.Conv1D(3, 2, activation="tanh")),
    "LSTM": lambda: sequential((3, 2), lambda: L.LSTM(2)),
}


@pytest.mark.parametrize("name", SEQUENCES)
@plans
def test_jacobian_of_a_sequence_layer(name, mode, strategy):
    model = SEQUENCES[name]()
    x = np.random.default_rng(5).uniform(-1, 1, (2, *model.input_shape[1:]))
    if (name, mode) in WITHOUT_VECTORIZED_FORM and strategy == "vectorize":
        with pytest.raises(GradientError, match='strategy="tile" or "loop"'):
            tgk.jacobian(model, mode=mode, strategy=strategy)(x)
        strategy = "auto"
    jacobian = tgk.jacobian(model, mode=mode, strategy=strategy)(x)
    np.testing.assert_allclose(jacobian, differences(value(model), x), rtol=1e-10, atol=1e-10)


def test_layer_that_is_no_model():
    layer = L.Dense(3, "tanh", dtype="float64")
    jacobian = tgk.jacobian(layer)(X)
    np.testing.assert_allclose(jacobian, differences(value(layer), X), rtol=1e-10, atol=1e-10)


def test_unbuilt_sequential_is_built_by_the_first_call():
    model = keras.Sequential([L.Dense(3, "tanh", dtype="float64"), L.Dense(1, dtype="float64")])
    y, gradient = tgk.value_and_gradient(model)(X)
    np.testing.assert_allclose(y, model(X)[:, 0], rtol=1e-14)
    np.testing.assert_allclose(gradient, differences(value(model), X)[:, 0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("built", [True, False], ids=["built", "unbuilt"])
def test_a_models_results_have_its_own_dtype(built):
    model = keras.Sequential([L.Dense(3, "tanh")])
    if built:
        model.build((None, BRANCH))
    assert tgk.jacobian(model)(X).dtype == tf.float32
    assert tgk.jvp(model)(X, tangents=X).dtype == tf.float32
    assert tgk.vjp(model)(X, output_gradients=X[:, :3]).dtype == tf.float32


SHAPES = {
    "value_and_jacobian": [(), (5,)],
    "value_gradient_and_hessian": [(), (5,), (5, 5)],
    "value_and_vjp": [(), (5,)],
    "value_and_jvp": [(), ()],
    "value_and_gradient": [(), (5,)],
    "value_and_hvp": [(), (5,)],
}


@pytest.mark.parametrize("operator", SHAPES)
@pytest.mark.parametrize("target", ["rank_one", "column", "vector"])
def test_any_batch_size_uses_one_trace_and_empty_gives_empty(operator, target):
    model = build(mlp(5, 3 if target == "vector" else 1, width=4), "float32")
    if target == "vector" and operator in ("value_and_gradient", "value_and_hvp"):
        pytest.skip("of scalar-valued functions only; that it is refused is tested below")
    fn = (lambda x: model(x)[:, 0]) if target == "rank_one" else model
    derivative = getattr(tgk, operator)(fn, batched=True)
    sample = {"vector": [3], "rank_one": [], "column": [1]}[target]
    dropped = target == "column" and operator in ("value_gradient_and_hessian", "value_and_gradient", "value_and_hvp")
    whole = None
    for count in (4, 1, 0, 3):
        x = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")[:count]
        seeds = {}
        if operator == "value_and_vjp":
            seeds = {"output_gradients": np.ones((count, *sample), "float32")}
        elif operator in ("value_and_jvp", "value_and_hvp"):
            seeds = {"tangents": x}
        parts = derivative(x, **seeds)
        outputs = () if dropped else tuple(sample)
        inner = () if operator in ("value_and_vjp", "value_and_hvp") else outputs
        expected = [(count, *outputs), *((count, *inner, *shape) for shape in SHAPES[operator][1:])]
        assert [tuple(p.shape) for p in parts] == expected
        assert {p.dtype for p in parts} == {tf.float32}
        whole = whole or parts
        for part, first in zip(parts, whole, strict=True):
            np.testing.assert_allclose(part, first[:count], rtol=1e-5, atol=1e-6)
    assert derivative.trace_count == 1


def _small(outputs=3):
    return keras.Sequential([keras.Input((2,)), L.Dense(outputs)], name="small")


def _two_inputs():
    a, b = keras.Input((2,)), keras.Input((2,))
    return keras.Model([a, b], L.Add()([a, b]))


def _two_outputs():
    x = keras.Input((2,))
    return keras.Model(x, [L.Dense(1)(x), L.Dense(2)(x)])


def _embedding():
    return keras.Sequential([keras.Input((2,), dtype="int32"), L.Embedding(3, 2)])


def _built(layer):
    layer.build((None, 2))
    return layer


SMALL = np.ones((2, 3))
ERRORS = {
    "integer_input": (lambda: tgk.gradient(tf.square)(3), SignatureError, ["expected: float", "got: int", "cast"]),
    "text_input": (lambda: tgk.gradient(tf.square)("3"), SignatureError, ["expected: float", "got: string"]),
    "no_tensor": (lambda: tgk.gradient(tf.square)(object()), SignatureError, ["expected: a tensor", "got: object"]),
    "no_batch_axis": (
        lambda: tgk.gradient(tf.square, batched=True)(3.0), SignatureError, ["first axis", "got: a scalar", "batched"]),
    "gradient_of_a_vector": (
        lambda: tgk.gradient(tf.square)([1.0, 2.0]), GradientError,
        ["gradient needs", "expected: a scalar", "got: [2]", "jacobian", "vjp"]),
    "hvp_of_a_vector": (
        lambda: tgk.hvp(tf.square)([1.0, 2.0], tangents=[1.0, 1.0]), GradientError,
        ["hvp needs", "expected: a scalar", "jacobian", "vjp"]),
    "gradient_of_a_batch_of_vectors": (
        lambda: tgk.gradient(tf.square, batched=True)(SMALL), GradientError,
        ["expected: [B] or [B, 1]", "got: [B, 3]"]),
    "missing_output_gradients": (
        lambda: tgk.vjp(tf.square)(1.0), SignatureError,
        ["output_gradients= is missing", "expected: (x, output", "got: (x)"]),
    "missing_tangents": (lambda: tgk.jvp(tf.square)(1.0), SignatureError, ["expected: (x, tangents=...)", "got: (x)"]),
    "extra_tangents": (
        lambda: tgk.jacobian(tf.square)(1.0, tangents=1.0), SignatureError, ["tangents= is not", "expected: (x)"]),
    "extra_output_gradients": (
        lambda: tgk.jvp(tf.square)(1.0, tangents=1.0, output_gradients=1.0), SignatureError,
        ["output_gradients= is not", "expected: (x, tangents=...)"]),
    "wrong_seed_shape": (
        lambda: tgk.vjp(tf.square, batched=True)(SMALL, output_gradients=np.ones((2, 4))), SignatureError,
        ["output_gradients has the wrong shape", "expected: [B, 3]", "got: [B, 4]"]),
    "wrong_tangent_shape": (
        lambda: tgk.jvp(tf.square)(SMALL, tangents=np.ones((3, 2))), SignatureError,
        ["expected: [2, 3]", "got: [3, 2]"]),
    "wrong_seed_batch": (
        lambda: tgk.vjp(tf.square, batched=True)(SMALL, output_gradients=np.ones((4, 3))), SignatureError,
        ["batch", "expected: [2]", "got: [4, 3]"]),
    "wrong_tangent_batch": (
        lambda: tgk.jvp(tf.square, batched=True)(SMALL, tangents=np.ones((4, 3))), SignatureError,
        ["expected: [2, 3]", "got: [4, 3]"]),
    "integer_seed": (
        lambda: tgk.jvp(tf.square)(1.0, tangents=1), SignatureError, ["tangents", "expected: float", "got: int"]),
    "no_result": (lambda: tgk.jacobian(lambda x: None)(1.0), SignatureError, ["got: None", "return statement"]),
    "integer_result": (
        lambda: tgk.jacobian(tf.argmax)([1.0, 2.0]), SignatureError, ["expected: a floating", "got: int64"]),
    "unknown_mode": (lambda: tgk.jacobian(tf.square, mode="fwd"), SignatureError, ["forward | reverse", "got: 'fwd'"]),
    "unknown_strategy": (lambda: tgk.jacobian(tf.square, strategy="map"), SignatureError, ["vectorize", "got: 'map'"]),
    "unknown_unconnected": (lambda: tgk.jacobian(tf.square, unconnected=0), SignatureError, ["zero | none", "got: 0"]),
    "unknown_jit_compile": (
        lambda: tgk.jacobian(tf.square, jit_compile="no"), SignatureError, ["True | F", "got: 'no'"]),
    "no_function": (lambda: tgk.jacobian("model.keras"), SourceError, ["expected: a Keras model", "got: str", "load"]),
    "unconnected_gradient": (
        lambda: tgk.gradient(lambda x: tf.constant(1.0), unconnected="raise")(1.0), GradientError,
        ["not depend", "zero"]),
    "unconnected_hessian": (
        lambda: tgk.hessian(lambda x: tf.constant(1.0), unconnected="raise")(1.0), GradientError,
        ["not depend", "zero"]),
    "model_without_batch_axis": (
        lambda: tgk.jacobian(_small())([1.0, 2.0]), SignatureError,
        ["small", "expected: [B, 2]", "got: [2]", "x[None]"]),
    "model_with_other_size": (
        lambda: tgk.jacobian(_small())(SMALL), SignatureError, ["small", "expected: [B, 2]", "got: [2, 3]"]),
    "layer_with_other_size": (
        lambda: tgk.jacobian(_built(L.Dense(1)))(SMALL), SignatureError, ["axis -1", "value 2", "got: [B, 3]"]),
    "model_of_two_inputs": (
        lambda: tgk.jacobian(_two_inputs())(np.ones((1, 2))), SignatureError,
        ["wrong structure", "expected: ([B, 2], [B, 2])", "got: [1, 2]"]),
    "a_symbolic_input": (
        lambda: tgk.jacobian(_small())(keras.Input((2,))), SignatureError, ["got: KerasTensor", "layers.Derivative"]),
    "a_ragged_tensor": (
        lambda: tgk.jacobian(tf.square)(tf.ragged.constant([[1.0], []])), SignatureError,
        ["RaggedTensor", "to_tensor"]),
    "numpy_in_the_function": (
        lambda: tgk.jacobian(lambda x: np.sin(x))([1.0]), GradientError, ["leaves TensorFlow", "tf.math"]),
    "gradient_of_two_outputs": (
        lambda: tgk.gradient(_two_outputs())(np.ones((1, 2))), GradientError, ["scalar-valued", "[B, 1], [B, 2]"]),
    "gradient_of_a_vector_model": (
        lambda: tgk.gradient(_small())(np.ones((1, 2))), GradientError, ["small", "[B, 1]", "got: [B, 3]", "jacobian"]),
    "embedding": (
        lambda: tgk.jacobian(_embedding())([[1.0, 2.0]]), SignatureError,
        ["expected: a floating", "got: int", "embedding"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_error_says_what_was_expected_and_what_came(name):
    call, kind, facts = ERRORS[name]
    with pytest.raises(kind) as raised:
        call()
    assert [fact for fact in facts if fact not in str(raised.value)] == []
