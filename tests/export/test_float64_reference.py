"""The certificate of float32 libraries: their error against the same network in float64."""

from __future__ import annotations

import keras
import models
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import tfgradkit as tgk
from tfgradkit.cli.commands import verify_command
from tfgradkit.errors import GraphError
from tfgradkit.export.native.compile import compile as compile_module
from tfgradkit.export.native.compile.frozen_graph import canonicalize
from tfgradkit.export.native.compile.targets import choose_targets
from tfgradkit.export.native.library import c_library
from tfgradkit.graph.grappler import frozen
from tfgradkit.graph.widen import run_in_float64

BEST = (choose_targets(("host",))[-1].name,)
SPEC = tf.TensorSpec([3], tf.float32)


def export(fn, tmp_path, kinds=("jacobian",), **keywords):
    return tgk.export_native(fn, tmp_path / "lib", "f", kinds, targets=BEST, tile=8, **keywords)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    model = models.build(models.mlp(), "float32")
    return model, export(model, tmp_path_factory.mktemp("dense"), ("jacobian", "vjp", "jvp", "hessian"))


def test_a_dense_network_has_the_rounding_of_float32(dense):
    library = dense[1]
    certificate = library.metadata["error_against_float64"]
    assert set(certificate["relative"]) == set(certificate["absolute"]) == set(library.metadata["achieved_error"])
    assert certificate["not_evaluated"] == {}
    assert certificate["points"] == 67
    assert all(1e-8 < error < 1e-5 for error in certificate["relative"].values())


def test_the_reference_is_the_model_built_in_float64(dense):
    """Keras' own float64 layers with the same weights give what the graph gave."""
    model, library = dense
    wide = models.build(models.mlp(), "float64")
    wide.set_weights([weight.astype(np.float64) for weight in model.get_weights()])
    vectors = np.load(library.path / "share/f/testvectors.npz")
    reference = np.load(library.path / "share/f/testvectors_float64.npz")
    x = vectors["x"].astype(np.float64)
    value, jacobian = tgk.value_and_jacobian(wide)(x)
    np.testing.assert_allclose(reference["y"], value, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(reference["jacobian"], jacobian, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(reference["hessian"], tgk.hessian(wide)(x), rtol=1e-10, atol=1e-12)
    # Seeds are cast up, too.
    u = vectors["output_gradients"].astype(np.float64)
    np.testing.assert_allclose(reference["vjp"], tgk.vjp(wide)(x, output_gradients=u), rtol=1e-11, atol=1e-13)


def test_the_numbers_are_those_of_the_library(dense):
    library = dense[1]
    certificate, errors = library.metadata["error_against_float64"], library.errors_against_float64()
    assert {name: error.relative for name, error in errors.items()} == certificate["relative"]
    assert {name: error.absolute for name, error in errors.items()} == certificate["absolute"]
    vectors = np.load(library.path / "share/f/testvectors.npz")
    reference = np.load(library.path / "share/f/testvectors_float64.npz")
    assert errors["value.y"].absolute == np.max(np.abs(library.value(vectors["x"]) - reference["y"]))


def test_cancellation_is_seen_where_the_compiler_rounds_as_tensorflow_does(tmp_path):
    """(a + b) - b in float32 has not those digits of a that are below b's; TensorFlow's answer hasn't either."""

    def f(x):
        return tf.stack([(x[0] + x[1]) - x[1], x[2]])

    ranges = {"x": ([0.0, 1000.0, 0.0], [1.0, 2000.0, 1.0])}
    library = export(f, tmp_path, input_specs=SPEC, ranges=ranges)
    relative = library.metadata["error_against_float64"]["relative"]
    assert library.metadata["achieved_error"]["value.y"] < 1e-7
    assert 1e-5 < relative["value.y"] < 2e-4  # half a unit in the last place of 1000 to 2000 is 6e-5
    assert relative["jacobian.jacobian"] < 1e-7


def test_cancellation_in_a_derivative(tmp_path):
    """The value is exact; its derivative, a difference of large numbers, is not."""

    def f(x):
        return tf.reduce_sum(x * x * tf.constant([0.5, 1.0, 1.0])) - tf.stop_gradient(x[1]) * x[0] - x[0] * x[1] / 3.0

    ranges = {"x": ([1000.0, 750.0, 0.0], [1000.1, 750.1, 0.1])}
    library = export(f, tmp_path, ("gradient",), input_specs=SPEC, ranges=ranges)
    relative = library.metadata["error_against_float64"]["relative"]
    assert 1e-8 < relative["gradient.gradient"] < 1e-3


def test_a_wrong_library_is_wrong_by_both_measures(tmp_path, monkeypatch):
    """What is compiled has its weights planted 1 % off."""
    monkeypatch.setitem(c_library.TOLERANCE, "float32", 0.1)

    def scaled(graph):
        for node in graph.node:
            if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum:
                weights = tf.make_ndarray(node.attr["value"].tensor)
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights * np.float32(1.01)))
        return canonicalize(graph)

    monkeypatch.setattr(compile_module, "canonicalize", scaled)
    model = models.build(lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), "float32")
    library = export(model, tmp_path)
    relative = library.metadata["error_against_float64"]["relative"]
    assert abs(relative["value.y"] - 0.01) < 1e-5
    assert abs(library.metadata["achieved_error"]["value.y"] - 0.01) < 1e-5


def test_float64_libraries_have_no_such_column(tmp_path):
    model = models.build(models.mlp(width=4), "float64")
    library = export(model, tmp_path)
    assert "error_against_float64" not in library.metadata
    assert library.errors_against_float64() == {}
    assert not (library.path / "share/f/testvectors_float64.npz").exists()
    printed = CliRunner().invoke(verify_command, [str(library.path)]).output
    assert "float64" not in printed


def test_verify_shows_the_columns(dense):
    library = dense[1]
    printed = CliRunner().invoke(verify_command, [str(library.path)]).output
    row = next(line for line in printed.splitlines() if line.split()[:1] == ["value.y"])
    error = library.errors_against_float64()["value.y"]
    assert row.split()[2:] == [f"{error.relative:.1e}", f"{error.absolute:.1e}"]
    assert "against float64" in printed
    assert "67 points" in printed


class _Sign(keras.layers.Layer):
    """Reads the sign off the bits."""

    def call(self, x):
        return x * tf.cast(tf.bitcast(x, tf.int32) > 0, tf.float32)


def test_what_reads_bits_has_a_reason_in_place_of_a_number(tmp_path):
    model = keras.Sequential([keras.Input((3,)), _Sign()])
    library = export(model, tmp_path, ())
    certificate = library.metadata["error_against_float64"]
    assert certificate["not_evaluated"] == {"value": "Bitcast reads the bits of numbers"}
    assert certificate["relative"] == {}
    printed = CliRunner().invoke(verify_command, [str(library.path)]).output
    assert "unknown" in printed
    assert "value could not be evaluated in float64: Bitcast reads the bits of numbers" in printed


def widely(function, *arrays):
    """What a function of a dict gives in float64."""
    named = {f"x{i}": np.asarray(array, np.float32) for i, array in enumerate(arrays)}
    specs = {name: tf.TensorSpec(array.shape, array.dtype) for name, array in named.items()}
    call = tf.function(lambda given: [tf.identity(function(*(given[name] for name in sorted(given))))])
    return run_in_float64(frozen(call.get_concrete_function(specs)), [named])[0][0]


def test_branches_loops_and_lists_are_widened():
    """Control flow, tensor lists and casts within it; the sum of thirds has float64's digits."""

    def f(x):
        total = tf.zeros([])
        for i in tf.range(3):
            total = tf.cond(x[0] > 0, lambda t=total, i=i: t + x[i] / 3.0, lambda t=total: t)
        mapped = tf.map_fn(lambda row: row / 7.0, x)
        return total + tf.reduce_sum(mapped) + tf.cast(tf.cast(x[0], tf.int32), tf.float32)

    x = np.array([1.5, 2.25, 4.125], np.float32)
    got = widely(f, x)
    assert got.dtype == np.float64
    wide = x.astype(np.float64)
    assert abs(got - (wide.sum() / 3 + wide.sum() / 7 + 1)) < 1e-15 * 16


def test_constants_keep_their_float32_values():
    """0.1 is what float32 makes of it: that is the network."""
    assert widely(lambda x: x * 0.1, np.float32(1.0)) == np.float64(np.float32(0.1))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        pytest.param(lambda x: tf.cast(tf.cast(x, tf.float16), tf.float32), "float16", id="half"),
        pytest.param(lambda x: tf.cast(tf.cast(x, tf.bfloat16), tf.float32), "bfloat16", id="bfloat16"),
        pytest.param(lambda x: tf.cast(tf.bitcast(x, tf.int32), tf.float32), "reads the bits", id="bits"),
        pytest.param(lambda x: x + tf.random.normal([]), "state, or random", id="random"),
        pytest.param(lambda x: x + tf.random.stateless_normal([], [1, 2]), "other random numbers", id="stateless"),
        pytest.param(
            lambda x: tf.image.resize(tf.reshape(x, [1, 1, 1, 1]), [2, 2]), "ResizeBilinear has no float64", id="alone"
        ),
        pytest.param(lambda x: tf.nn.lrn(tf.reshape(x, [1, 1, 1, 1])), "LRN has no float64", id="choice"),
        pytest.param(lambda x: tf.numpy_function(np.sin, [x], tf.float32), "PyFunc", id="Python"),
    ],
)
def test_what_has_no_float64_says_so(function, reason):
    with pytest.raises(GraphError, match=reason):
        widely(function, np.float32(0.5))
