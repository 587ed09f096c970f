"""TensorFlow 1 graphs: .meta files with their checkpoints, frozen .pb files, and what can be wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf1_graphs
from tf1_graphs import SEED, save_graph, tf1

import tfgradkit as tgk
from tfgradkit.errors import GradientError, ModelFileError, SignatureError, TfGradKitError, UnknownLayerError

X = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
MLP = {"inputs": "in/x:0", "outputs": "out/y:0"}
FILES = ["references.meta", "resources.meta", "references.pb", "resources.pb"]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """The same network with both kinds of variables, as .meta and frozen; not to be changed."""
    folder = tmp_path_factory.mktemp("graphs of old")
    for name, use_resource in (("references", False), ("resources", True)):
        save_graph(folder / name, lambda r=use_resource: tf1_graphs.mlp(use_resource=r), frozen=("out/y", "energy"))
    save_graph(folder / "savemymodel", tf1_graphs.linear)
    return folder


def copied(files: Path, name: str, target: Path) -> Path:
    for file in files.glob(f"{name}.*"):
        shutil.copy(file, target)
    return target / f"{name}.meta"


def test_the_linear_model_has_its_parameters_as_gradient(files):
    model = tgk.load(files / "savemymodel.meta", signature=SEED)
    points = np.array([[9.0, 2.0], [8.0, 2.0], [8.0, 1.0]])
    np.testing.assert_allclose(model(points), points @ tf1_graphs.PARAMETERS[:2, None] + 0.5, rtol=1e-6)
    np.testing.assert_array_equal(tgk.gradient(model)(points), np.tile(tf1_graphs.PARAMETERS[:2], (3, 1)))


@pytest.mark.parametrize("file", FILES)
def test_every_kind_is_the_same_function(files, file):
    model = tgk.load(files / file, signature=MLP)
    assert model.batched
    np.testing.assert_allclose(model(X), tf1_graphs.mlp_value(X), rtol=1e-5, atol=1e-6)
    jacobian = tf1_graphs.mlp_jacobian(X)
    np.testing.assert_allclose(tgk.jacobian(model)(X), jacobian, rtol=1e-5, atol=1e-6)
    tangents = np.ones_like(X)
    np.testing.assert_allclose(tgk.jvp(model)(X, tangents=tangents), jacobian.sum(2), rtol=1e-4, atol=1e-5)
    upstream = np.ones((4, 2), np.float32)
    np.testing.assert_allclose(tgk.vjp(model)(X, output_gradients=upstream), jacobian.sum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", FILES[:3])
def test_second_derivatives(files, file):
    energy = tgk.load(files / file, signature=MLP | {"outputs": "energy:0"})
    assert tgk.check_gradients(energy, X, order=2).ok
    np.testing.assert_allclose(
        np.trace(tgk.hessian(energy)(X), axis1=1, axis2=2), tgk.laplacian(energy)(X), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("file", FILES[:2])
def test_variables_are_variables(files, file):
    model = tgk.load(files / file, signature=MLP)
    assert [v.name for v in model.trainable()] == ["first:0", "second:0"]
    assert len(model.variables) == 3
    by_first, by_second = tgk.jacobian(model, wrt="parameters")(X)
    assert by_first.shape == (4, 2, 3, 4)
    np.testing.assert_allclose(by_second[:, 0, :, 1], np.zeros((4, 4)), atol=1e-7)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(tf.constant(X)))
    slopes = tape.gradient(loss, list(model.trainable()))
    np.testing.assert_allclose(slopes[0], tf.reduce_sum(by_first, (0, 1)), rtol=1e-4, atol=1e-5)
    model.variables[0].assign(tf.zeros_like(model.variables[0]))
    assert np.abs(tgk.jacobian(model)(X)).max() == 0, "what is trained further counts"


def test_several_inputs_and_outputs(files):
    model = tgk.load(files / "references.meta", signature={"inputs": ["in/x"], "outputs": ["out/y:0", "energy:0"]})
    y, energy = model(X)
    np.testing.assert_allclose(np.sum(y**2, 1), energy, rtol=1e-5)
    jacobians = tgk.jacobian(model)(X)
    assert [j.shape for j in jacobians] == [(4, 2, 3), (4, 3)]
    inner = tgk.load(files / "references.meta", signature={"inputs": ["Tanh:0", "offset:0"], "outputs": ["out/y:0"]})
    assert [spec.shape.as_list() for spec in inner.input_specs] == [[None, 4], [4]]
    assert not inner.batched, "the second input has no axis for samples"
    assert tgk.jacobian(inner, argnums=(0, 1))(np.ones((5, 4)), np.ones(4))[0].shape == (5, 2, 5, 4)


def test_a_result_for_the_whole_batch_is_not_batched(files):
    loss = tgk.load(files / "references.meta", signature={"inputs": "in/x:0", "outputs": "loss:0"})
    assert not loss.batched
    np.testing.assert_allclose(tgk.gradient(loss)(X), tf1_graphs.mlp_jacobian(X).sum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", ["references.meta", "references.pb"])
def test_export_as_a_saved_model(files, tmp_path, file):
    tgk.export_saved_model(tgk.load(files / file, signature=MLP), tmp_path / "saved", ("jacobian",))
    again = tgk.load(tmp_path / "saved", signature="jacobian")
    np.testing.assert_allclose(again(X)["jacobian"], tf1_graphs.mlp_jacobian(X), rtol=1e-5, atol=1e-6)


def test_export_as_a_library(files, tmp_path):
    model = tgk.load(files / "references.meta", signature=MLP)
    library = tgk.export_native(model, tmp_path / "c", "old", ("jacobian",), targets=("x86-64",), tile=4)
    np.testing.assert_allclose(library.jacobian(X), tf1_graphs.mlp_jacobian(X), rtol=1e-4, atol=1e-5)


def branched() -> None:
    x = tf1.placeholder(tf.float64, [3], name="x")
    kept = tf1.placeholder_with_default(tf.constant(True), [], name="kept")
    scale = tf1.Variable(np.float64(2.0), use_resource=False)
    tf.identity(tf1.cond(kept, lambda: scale * tf.sin(x), lambda: x * x), name="y")


def waiting() -> None:
    x = tf1.placeholder(tf.float64, [3], name="x")
    with tf.control_dependencies([tf1.assert_non_negative(x)]):
        tf.sqrt(x, name="y")


def counted() -> None:
    x = tf1.placeholder(tf.float64, [3], name="x")
    tf.identity(tf1.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.sin(a)), (0, x))[1], name="y")


POINT = np.array([0.3, 0.5, 0.9])
XY = {"inputs": "x:0", "outputs": "y:0"}


def test_a_branch_of_old_takes_the_side_that_is_taken(tmp_path):
    model = tgk.load(save_graph(tmp_path / "m", branched), signature=XY)
    np.testing.assert_allclose(tgk.jacobian(model)(POINT), np.diag(2 * np.cos(POINT)), rtol=1e-12)
    np.testing.assert_allclose(tgk.jacobian(model, wrt="parameters")(POINT)[0], np.sin(POINT), rtol=1e-12)
    bend = tgk.jacobian(lambda x: tgk.vjp(model)(x, output_gradients=tf.ones(3, tf.float64)))(POINT)
    np.testing.assert_allclose(bend, np.diag(-2 * np.sin(POINT)), rtol=1e-12, atol=1e-15)
    tgk.export_saved_model(model, tmp_path / "saved", ("vjp",))
    saved = tgk.load(tmp_path / "saved", signature="vjp")
    upstream = saved({"x": POINT[None], "output_gradients": np.ones((1, 3))})
    np.testing.assert_allclose(upstream["vjp"][0], 2 * np.cos(POINT), rtol=1e-12)
    both = tgk.load(tmp_path / "m.meta", signature={"inputs": ["x:0", "kept:0"], "outputs": "y:0"})
    np.testing.assert_allclose(tgk.jacobian(both)(POINT, False), np.diag(2 * POINT), rtol=1e-12)


def test_what_waits_for_a_check_is_differentiated(tmp_path):
    model = tgk.load(save_graph(tmp_path / "m", waiting, saver=_no_variables), signature=XY)
    np.testing.assert_allclose(tgk.jacobian(model)(POINT), np.diag(0.5 / np.sqrt(POINT)), rtol=1e-12)
    with pytest.raises(tf.errors.InvalidArgumentError):
        model(-POINT)


def test_a_loop_of_old_has_a_value_but_no_derivative(tmp_path):
    model = tgk.load(save_graph(tmp_path / "m", counted, saver=_no_variables), signature=XY)
    np.testing.assert_allclose(model(POINT), np.sin(np.sin(np.sin(POINT))), rtol=1e-12)
    with pytest.raises(GradientError, match="enable_control_flow_v2"):
        tgk.jacobian(model)(POINT)


def test_a_loop_of_control_flow_v2_has_a_derivative(tmp_path):
    model = tgk.load(save_graph(tmp_path / "m", counted, saver=_no_variables, functions=True), signature=XY)
    s1, s2 = np.sin(POINT), np.sin(np.sin(POINT))
    np.testing.assert_allclose(tgk.jacobian(model)(POINT), np.diag(np.cos(s2) * np.cos(s1) * np.cos(POINT)), rtol=1e-12)


def _no_variables() -> tf1.train.Saver:
    tf1.Variable(0.0, name="unused", use_resource=False)
    tf1.get_default_session().run(tf1.global_variables_initializer())
    return tf1.train.Saver()


def in_parts() -> None:
    x = tf1.placeholder(tf.float32, [None, 4], name="x")
    with tf1.variable_scope("scope", partitioner=tf1.fixed_size_partitioner(2)):
        weights = tf1.get_variable("w", shape=[4, 2], use_resource=False)
    tf.matmul(x, tf.convert_to_tensor(weights), name="y")


def test_a_variable_kept_in_parts(tmp_path):
    model = tgk.load(save_graph(tmp_path / "m", in_parts), signature=XY)
    assert [v.shape.as_list() for v in model.variables] == [[2, 2], [2, 2]]
    np.testing.assert_array_equal(model(np.eye(4)), tf.train.load_variable(str(tmp_path / "m"), "scope/w"))


def test_variables_kept_under_other_names(tmp_path):
    def saver() -> tf1.train.Saver:
        return tf1.train.Saver({f"kept/{v.op.name}": v for v in tf1.global_variables()})

    model = tgk.load(save_graph(tmp_path / "m", tf1_graphs.linear, saver=saver), signature=SEED)
    np.testing.assert_array_equal(model.variables[0], tf1_graphs.PARAMETERS)


def test_devices_of_another_machine_do_not_matter(tmp_path):
    def build() -> None:
        with tf1.device("/job:worker/task:3/device:GPU:7"):
            tf1_graphs.linear()

    with tf.Graph().as_default() as graph:
        build()
        definition = tf1.train.export_meta_graph(graph=graph)
    save_graph(tmp_path / "m", tf1_graphs.linear)
    (tmp_path / "m.meta").write_bytes(definition.SerializeToString())
    assert tgk.load(tmp_path / "m.meta", signature=SEED)([[1.0, 0.0]]).shape == (1, 1)


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        pytest.param(None, ["in/x:0 float32 [B, 3]", "energy:0", "signature="], id="none"),
        pytest.param("serving_default", ["serving_default", "THEINPUT:0"], id="a key"),
        pytest.param({"inputs": "in/x:0"}, ["outputs"], id="no outputs"),
        pytest.param({"inputs": [], "outputs": "out/y:0"}, ["inputs names no tensors"], id="no names"),
        pytest.param({"inputs": "in/X:0", "outputs": "out/y:0"}, ["'in/X:0'", 'try: "in/x:0"', "[B, 3]"], id="near"),
        pytest.param({"inputs": "in/x:0", "outputs": "y:0"}, ["'y:0'", '"out/y:0"'], id="without its scope"),
        pytest.param({"inputs": "in/x:0", "outputs": "out/y:3"}, ["fewer results"], id="wrong number"),
        pytest.param({"inputs": "in/x:0", "outputs": "out/y:a"}, ["'out/y:a'"], id="no number"),
        pytest.param({"inputs": ["in/x:0", "in/x"], "outputs": "out/y:0"}, ["twice"], id="twice"),
        pytest.param({"inputs": "first:0", "outputs": "out/y:0"}, ["in/x:0, of a Placeholder"], id="missing input"),
    ],
)
def test_wrong_names_are_told_with_right_ones(files, signature, told):
    with pytest.raises(SignatureError) as error:
        tgk.load(files / "references.meta", signature=signature)
    assert all(text in str(error.value) for text in [*told, "references.meta"]), str(error.value)


def test_tensors_are_named_for_graphs_alone(water_saved_model):
    with pytest.raises(SignatureError, match="a SavedModel's key"):
        tgk.load(water_saved_model, signature=MLP)


def test_a_meta_file_alone_is_told_what_is_missing(files, tmp_path):
    shutil.copy(files / "references.meta", tmp_path / "alone.meta")
    with pytest.raises(ModelFileError, match="no checkpoint beside it") as error:
        tgk.load(tmp_path / "alone.meta", signature=MLP)
    assert "alone.index" in error.value.expected


def test_the_checkpoint_of_another_graph(files, tmp_path):
    meta = copied(files, "savemymodel", tmp_path)
    shutil.copy(files / "references.meta", meta)
    with pytest.raises(ModelFileError, match="no value for a variable") as error:
        tgk.load(meta, signature=MLP)
    assert (error.value.expected, error.value.got) == ("first", "Variable")


def test_values_of_another_shape(files, tmp_path):
    meta = copied(files, "savemymodel", tmp_path)

    def longer() -> None:
        tf1.Variable(np.zeros(5, np.float32), name="Variable", use_resource=False)

    save_graph(tmp_path / "other", longer)
    for kind in ("index", "data-00000-of-00001"):
        shutil.copy(tmp_path / f"other.{kind}", tmp_path / f"savemymodel.{kind}")
    with pytest.raises(ModelFileError, match="another shape") as error:
        tgk.load(meta, signature=SEED)
    assert error.value.got == "float32 (5,)"


@pytest.mark.parametrize("kind", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint(files, tmp_path, kind):
    meta = copied(files, "savemymodel", tmp_path)
    content = (tmp_path / f"savemymodel.{kind}").read_bytes()
    (tmp_path / f"savemymodel.{kind}").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match=r"can't be read|no value"):
        tgk.load(meta, signature=SEED)


def test_a_graph_that_is_not_frozen(files, tmp_path):
    meta = tf1.MetaGraphDef.FromString((files / "references.meta").read_bytes())
    (tmp_path / "raw.pb").write_bytes(meta.graph_def.SerializeToString())
    with pytest.raises(ModelFileError, match="not frozen") as error:
        tgk.load(tmp_path / "raw.pb", signature=MLP)
    assert "first : VariableV2" in error.value.got
    assert "convert_variables_to_constants" in error.value.hint


@pytest.mark.parametrize("suffix", ["meta", "pb"])
@pytest.mark.parametrize("content", [b"", b"some text\n" * 40, b"\x89PNG" * 40], ids=["empty", "text", "a picture"])
def test_a_foreign_file(tmp_path, suffix, content):
    (tmp_path / f"foreign.{suffix}").write_bytes(content)
    with pytest.raises(ModelFileError, match="truncated or foreign"):
        tgk.load(tmp_path / f"foreign.{suffix}", signature=MLP)


@pytest.mark.parametrize("file", ["references.meta", "references.pb"])
def test_a_truncated_file_is_an_error_of_the_tree(files, tmp_path, file):
    content = (files / file).read_bytes()
    copied(files, "references", tmp_path)
    for share in np.linspace(0.02, 0.6, 12):
        (tmp_path / file).write_bytes(content[: int(share * len(content))])
        with pytest.raises(TfGradKitError):
            tgk.load(tmp_path / file, signature=MLP)


def test_a_part_of_a_saved_model_is_told_as_such(water_saved_model):
    with pytest.raises(ModelFileError, match="load the folder"):
        tgk.load(water_saved_model / "saved_model.pb", signature=MLP)


def test_python_code_and_unknown_ops_are_refused(tmp_path):
    def build() -> None:
        x = tf1.placeholder(tf.float32, [2], name="x")
        y = tf1.py_func(lambda a: a, [x], tf.float32, name="code")
        tf.identity(y, name="y")

    meta = save_graph(tmp_path / "m", build, saver=_no_variables)
    with pytest.raises(UnknownLayerError, match="Python code") as error:
        tgk.load(meta, signature=XY)
    assert error.value.got == "code : PyFunc"
    (tmp_path / "own.pb").write_bytes(
        tf1.MetaGraphDef.FromString(meta.read_bytes())
        .graph_def.SerializeToString()
        .replace(b"\x06PyFunc", b"\x06PyFonc")
    )
    with pytest.raises(UnknownLayerError, match="PyFonc"):
        tgk.load(tmp_path / "own.pb", signature=XY)


def test_an_op_that_assigns_is_refused(tmp_path):
    def build() -> None:
        x = tf1.placeholder(tf.float32, [], name="x")
        state = tf1.Variable(1.0, name="state", use_resource=False)
        tf.multiply(x, tf1.assign(state, x), name="y")

    with pytest.raises(ModelFileError, match="assigns a variable"):
        tgk.load(save_graph(tmp_path / "m", build), signature=XY)
