"""SavedModels: signatures, batches, and clients that know nothing of tfgradkit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import models
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.comparison import relative_error


@pytest.fixture(scope="module")
def loaded(water_saved_model):
    return tf.saved_model.load(str(water_saved_model))


def test_signatures_and_their_names(loaded):
    assert set(loaded.signatures) == {"value", "jacobian", "vjp", "serving_default"}
    names = {
        kind: (sorted(f.structured_input_signature[1]), sorted(f.structured_outputs))
        for kind, f in loaded.signatures.items()
    }
    assert names == {
        "value": (["x"], ["y"]),
        "serving_default": (["x"], ["y"]),
        "jacobian": (["x"], ["jacobian", "y"]),
        "vjp": (["output_gradients", "x"], ["vjp", "y"]),
    }


@pytest.mark.parametrize("count", [0, 1, 7])
def test_dynamic_batch(loaded, water, count):
    x = tf.constant(np.random.default_rng(0).uniform([660, 1], [1100, 500], (count, 2)))
    got = loaded.signatures["jacobian"](x=x)
    assert got["jacobian"].shape == (count, 2, 2)
    assert relative_error(got["jacobian"].numpy(), tgk.jacobian(water)(x).numpy()) < 1e-14
    assert relative_error(got["y"].numpy(), water(x).numpy()) < 1e-14


def test_fixed_batch(water, tmp_path):
    tgk.export_saved_model(water, tmp_path / "three", ("jacobian",), batch=3)
    signature = tf.saved_model.load(str(tmp_path / "three")).signatures["jacobian"]
    assert signature.structured_input_signature[1]["x"].shape == (3, 2)
    x = tf.constant([[700.0, 10.0], [800.0, 100.0], [900.0, 300.0]], tf.float64)
    assert relative_error(signature(x=x)["jacobian"].numpy(), tgk.jacobian(water)(x).numpy()) < 1e-14


def test_weights_are_variables_stored_once(water, water_saved_model):
    names = tf.train.list_variables(str(water_saved_model / "variables" / "variables"))
    stored = [shape for name, shape in names if name.startswith("weights/")]
    assert sorted(map(tuple, stored)) == sorted(tuple(v.shape) for v in water.variables)


def test_saved_model_cli_runs_it(water, water_saved_model, tmp_path):
    program = Path(sys.executable).with_name("saved_model_cli")
    arguments = [
        "--tag_set",
        "serve",
        "--signature_def",
        "jacobian",
        "--input_exprs",
        "x=[[800.0,100.0],[900.0,300.0]]",
    ]
    command = [str(program), "run", "--dir", str(water_saved_model), *arguments, "--outdir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = tgk.jacobian(water)(np.array([[800.0, 100.0], [900.0, 300.0]])).numpy()
    assert relative_error(np.load(tmp_path / "jacobian.npy"), expected) < 1e-13


def test_loaded_again_it_is_differentiated_again(water, water_saved_model):
    again = tgk.load(water_saved_model, signature="value")
    x = np.array([[800.0, 100.0], [900.0, 300.0]])
    assert relative_error(tgk.jacobian(again)(x).numpy(), tgk.jacobian(water)(x).numpy()) < 1e-13


def test_float32_convolution_and_names(tmp_path):
    """What the C library does not take yet, a SavedModel does."""

    def make():
        layers = [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(2, 3, activation="tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
        return keras.Sequential(layers)

    model = models.build(make, "float32")
    tgk.export_saved_model(
        model, tmp_path / "conv", ("jacobian", "vjp"), input_names=("image",), output_names=("score",)
    )
    signature = tf.saved_model.load(str(tmp_path / "conv")).signatures["jacobian"]
    image = tf.random.stateless_normal((3, 6, 6, 1), seed=(1, 2))
    got = signature(image=image)
    assert set(got) == {"score", "jacobian"}
    assert relative_error(got["jacobian"].numpy(), tgk.jacobian(model)(image).numpy()) < 1e-6


def test_function_of_one_sample_with_specs(tmp_path):
    f = lambda x: tf.stack([x[0] * x[1], tf.sin(x[0])])  # noqa: E731
    tgk.export_saved_model(f, tmp_path / "f", ("jacobian",), input_specs=tf.TensorSpec([2], tf.float64))
    x = np.random.default_rng(0).standard_normal((4, 2))
    got = tf.saved_model.load(str(tmp_path / "f")).signatures["jacobian"](x=tf.constant(x))["jacobian"].numpy()
    expected = np.stack([np.stack([x[:, 1], x[:, 0]], 1), np.stack([np.cos(x[:, 0]), np.zeros(4)], 1)], 1)
    assert relative_error(got, expected) < 1e-15


@pytest.mark.parametrize("kind", ["jakobian", "laplacian", ""])
def test_unknown_kind(water, tmp_path, kind):
    with pytest.raises(tgk.errors.SignatureError, match="jacobian"):
        tgk.export_saved_model(water, tmp_path / "x", (kind,))
    assert list(tmp_path.iterdir()) == []


def test_every_kind_of_a_scalar_model(tmp_path):
    model = models.build(models.mlp(3, 1, 7, "softplus"), "float64")
    tgk.export_saved_model(model, tmp_path / "energy", ("jvp", "gradient", "hessian", "hvp"))
    signatures = tf.saved_model.load(str(tmp_path / "energy")).signatures
    x, v = np.random.default_rng(0).standard_normal((2, 6, 3))
    hessian = tgk.hessian(model)(x).numpy()
    gradient = tgk.gradient(model)(x).numpy()
    expected = {
        "jvp": {"jvp": np.einsum("bi,bi->b", gradient, v)[:, None]},
        "gradient": {"gradient": gradient},
        "hessian": {"gradient": gradient, "hessian": hessian},
        "hvp": {"hvp": np.einsum("bij,bj->bi", hessian, v)},
    }
    for kind, results in expected.items():
        seed = {"tangents": tf.constant(v)} if kind in ("jvp", "hvp") else {}
        got = signatures[kind](x=tf.constant(x), **seed)
        assert set(got) == {"y", *results}
        assert got["y"].shape == (6, 1)
        for name, result in results.items():
            assert relative_error(got[name].numpy(), result) < 1e-13


def test_a_function_that_closes_over_a_model(water, tmp_path):
    """Its variables belong to no module: the exporter finds them in the graph."""
    tgk.export_saved_model(lambda z: water(z[None])[0], tmp_path / "f", input_specs=tf.TensorSpec([2], tf.float64))
    x = np.array([[800.0, 100.0], [900.0, 300.0]])
    got = tf.saved_model.load(str(tmp_path / "f")).signatures["jacobian"](x=tf.constant(x))["jacobian"].numpy()
    assert relative_error(got, tgk.jacobian(water)(x).numpy()) < 1e-13


def test_a_custom_gradient_of_a_result_that_has_the_name_of_its_op(tmp_path):
    """``tf.nn.silu`` captures what comes in; in small letters, an op's name is that of the function's result, too."""
    f = lambda x: tf.function(lambda x: tf.reduce_sum(tf.nn.silu(x + tf.sin(x)) ** 2), autograph=False)(x)  # noqa: E731
    x = tf.constant([[0.3, -0.7]], tf.float64)
    tgk.export_saved_model(f, tmp_path / "f", ("jacobian",), input_specs=tf.TensorSpec([2], tf.float64))
    loaded = tf.saved_model.load(str(tmp_path / "f"))
    expected = tgk.jacobian(f)(x[0])
    np.testing.assert_allclose(loaded.signatures["jacobian"](x)["jacobian"][0], expected, rtol=1e-14)
    again = tgk.jacobian(tgk.load(tmp_path / "f"))(x)
    np.testing.assert_allclose(np.ravel(again), np.ravel(expected), rtol=1e-12)
