"""``simplify`` and ``graph_summary``: the same function with less to do, and nothing where it is constant."""

from __future__ import annotations

import models
import numpy as np
import pytest
import tensorflow as tf
import tf1_graphs
from tf1_graphs import SEED, save_graph

import tfgradkit as tgk
from tfgradkit.diagnose.graph import equal_results, simplify
from tfgradkit.diagnose.graph.constant_results import compiled
from tfgradkit.errors import GraphError, SignatureError

SPEC = tf.TensorSpec([2])
POINTS = np.array([[9.0, 2.0], [8.0, 2.0], [8.0, 1.0]], np.float32)


def ops(concrete):
    return {operation.type for operation in concrete.graph.get_operations()}


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    return tgk.load(save_graph(tmp_path_factory.mktemp("old") / "savemymodel", tf1_graphs.linear), signature=SEED)


@pytest.fixture(scope="module")
def model():
    return models.build(models.mlp(3, 1, 4), "float32")


def test_the_gradient_of_the_linear_model_is_its_parameters(linear):
    gradient = tgk.gradient(linear)
    concrete = tgk.simplify(gradient)
    assert isinstance(concrete, type(tf.function(lambda: 0).get_concrete_function()))
    np.testing.assert_array_equal(concrete(tf.constant(POINTS)), gradient(POINTS))
    assert not {"MatMul", "Add", "ReadVariableOp", "StatefulPartitionedCall"} & ops(concrete)
    summary = tgk.graph_summary(gradient)
    assert summary.is_constant
    np.testing.assert_array_equal(summary.constants["y"], tf1_graphs.PARAMETERS[:2])
    assert summary.before["MatMul"] == 2
    assert "MatMul" not in summary.after
    text = str(summary)
    assert "[ 0.17217076 -0.2723155 ]" in text
    assert text.endswith("no computation is left: what remains hands it to each sample")
    assert (summary.before["VariableV2"], "ReadVariableOp" in summary.before) == (1, False), "as the tree has it"
    assert max(map(len, text.splitlines())) <= 80


def test_a_constant_that_is_no_tensor_of_samples():
    summary = tgk.graph_summary(tgk.jacobian(lambda x: tf.reverse(3 * x, [0])), SPEC)
    np.testing.assert_array_equal(summary.constants["y"], [[0, 3], [3, 0]])
    assert "every sample" not in str(summary)
    assert str(summary).endswith("\nno computation is left")


def test_a_network_keeps_its_work_and_loses_its_variables(model):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    for fn in (model, tgk.gradient(model)):
        concrete = tgk.simplify(fn)
        np.testing.assert_allclose(concrete(tf.constant(x)), fn(x), rtol=1e-5, atol=1e-6)
        assert not {"ReadVariableOp", "PartitionedCall"} & ops(concrete)
        assert concrete.variables == ()
        assert concrete(tf.constant(x[:1])).shape[0] == 1, "any batch size"
    summary = tgk.graph_summary(tgk.gradient(model))
    assert not summary.is_constant
    assert summary.constants == {}
    assert summary.instructions > 0
    # Forward through two hidden layers, and back through the same: back through the last is a constant.
    assert summary.flops == (2 * 2 * (3 * 4 + 4 * 4),) * 2


def test_common_subexpressions_and_constants():
    weights = tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    def wasteful(x):
        a = tf.linalg.matvec(tf.matmul(weights, weights), x)
        return tf.sin(a) + tf.sin(tf.linalg.matvec(tf.matmul(weights, weights), x)) + 0 * tf.size(x, tf.float32)

    summary = tgk.graph_summary(wasteful, SPEC)
    assert (summary.before["MatMul"], summary.after["MatMul"]) == (4, 1)
    assert (summary.before["Sin"], summary.after["Sin"]) == (2, 1)


def test_xla_sees_what_grappler_does_not():
    def padded(x):
        return tf.concat([x, [1.0, 2.0]], 0)[2:]

    summary = tgk.graph_summary(padded, SPEC)
    assert summary.is_constant
    np.testing.assert_array_equal(summary.constants["y"], [1, 2])


def test_nests_and_what_is_no_tensor_stay():
    def fn(named, flag, pair):
        return {"a": named["u"] * pair[0] if flag == "times" else named["v"], "b": tf.constant(3.0), "c": None}

    concrete = tgk.simplify(fn, {"u": SPEC, "v": SPEC}, "times", [tf.TensorSpec([])])
    u, v = tf.constant([1.0, 2.0]), tf.constant([5.0, 6.0])
    results = concrete({"u": u, "v": v}, "times", [tf.constant(4.0)])
    np.testing.assert_array_equal(results["a"], [4, 8])
    assert results["b"].numpy() == 3
    assert results["c"] is None


def test_one_of_several_results_is_constant(linear):
    value, jacobian = tgk.simplify(tgk.value_and_jacobian(linear))(tf.constant(POINTS))
    np.testing.assert_allclose(value, linear(POINTS), rtol=1e-6)
    np.testing.assert_array_equal(jacobian, tgk.jacobian(linear)(POINTS))
    summary = tgk.graph_summary(tgk.value_and_jacobian(linear))
    assert set(summary.constants) == {"y[1]"}
    assert not summary.is_constant


def test_what_is_constant_for_one_sample_alone_is_not_taken_for_it():
    def count(x):
        return tf.zeros_like(x) + tf.cast(tf.shape(x)[0], x.dtype)

    summary = tgk.graph_summary(count, tf.TensorSpec([None, 2]), batched=True)
    assert summary.constants == {}
    concrete = tgk.simplify(count, tf.TensorSpec([None, 2]), batched=True)
    np.testing.assert_array_equal(concrete(tf.ones([4, 2])), np.full((4, 2), 4))


def test_a_simplified_function_can_be_differentiated_and_shown(model):
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    concrete = tgk.simplify(model)
    np.testing.assert_allclose(tgk.jacobian(concrete, batched=True)(x), tgk.jacobian(model)(x), rtol=1e-4, atol=1e-6)
    assert tgk.graph_tree(concrete).count("MatMul : MatMul") == 3


def test_random_numbers_cannot_be_compared():
    with pytest.raises(GraphError, match="something else each time") as error:
        tgk.simplify(lambda x: x + tf.random.normal([2]), SPEC)
    assert "training=False" in error.value.hint


def test_a_wrong_simplification_is_an_error(monkeypatch):
    made = simplify._simplified_function
    monkeypatch.setattr(
        simplify,
        "_simplified_function",
        lambda seen, plain, constants: lambda *xs: made(seen, plain, constants)(*xs) * 1.01,
    )
    with pytest.raises(GraphError, match="not the same function"):
        tgk.simplify(tf.sin, SPEC)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        pytest.param([1.0, 2.0], [1.0, 2.0], True, id="same"),
        pytest.param([1.0, 2.0], [1.0, 2.0 + 1e-7], True, id="rounded"),
        pytest.param([1.0, 2.0], [1.0, 2.01], False, id="other"),
        pytest.param([np.nan, 2.0], [np.nan, 2.0], True, id="not finite"),
        pytest.param([np.nan, 2.0], [0.0, 2.0], False, id="finite now"),
    ],
)
def test_what_counts_as_equal(a, b, same):
    assert (equal_results._difference(np.array(a, np.float32), np.array(b, np.float32)) == 0) == same


def test_arguments_that_do_not_fit_are_told():
    with pytest.raises(SignatureError):
        tgk.simplify(tf.sin)
    with pytest.raises(GraphError, match="any shape"):
        tgk.simplify(tf.sin, tf.TensorSpec(None))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_derivative_of_a_loop_that_reads_a_variable():
    """TensorFlow alone can't freeze it."""
    weight = tf.Variable(2.0)

    def looped(x):
        return tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.sin(a) * weight), (0, x))[1]

    x, seed = tf.constant([0.3, -1.2, 2.0]), tf.constant([1.0, 2.0, -1.0])
    spec = tf.TensorSpec([3])
    simple = tgk.simplify(tgk.vjp(looped), spec, spec)
    np.testing.assert_allclose(
        tf.nest.flatten(simple(x, seed))[0], tgk.vjp(looped)(x, output_gradients=seed), rtol=1e-6
    )
    assert not tgk.graph_summary(looped, spec).is_constant


def test_xla_that_cannot_compile_says_nothing():
    def strings(x):
        return tf.strings.to_number(tf.strings.as_string(x))

    assert compiled(tf.function(strings).get_concrete_function(SPEC)) is None
