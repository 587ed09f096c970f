"""Both exporters with models and arguments that can't be exported: one clear error, and nothing is left."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.errors import ExportError, SignatureError, SourceError, TfGradKitError, UnsupportedModelError

L = keras.layers
PAIR = tf.TensorSpec([2], tf.float32)


class Words(L.Layer):
    """Goes through strings, which XLA doesn't know."""

    def call(self, x):
        return tf.strings.to_number(tf.strings.as_string(x))


def stack(shape: tuple[int | None, ...], *layers: L.Layer, dtype: str = "float32", name: str = "tested") -> keras.Model:
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers], name=name)


def dense(dtype: str = "float32") -> keras.Model:
    return stack((2,), L.Dense(2, dtype=dtype, name="only"), dtype=dtype)


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    """Whatever is wrong here must be said before anything is compiled."""
    monkeypatch.setattr(
        "tfgradkit.export.native.compile.compile.compile_jobs", lambda *_: pytest.fail("the compiler was called")
    )


def saved_model(fn: object, folder: Path, **options: object) -> None:
    tgk.export_saved_model(fn, folder / "made" / "out", **options)


def native(fn: object, folder: Path, **options: object) -> None:
    tgk.export_native(fn, folder / "made" / "out", **{"name": "lib", **options})


both = pytest.mark.parametrize("export", [saved_model, native], ids=["SavedModel", "C library"])


def refused(export: Callable, kind: type[TfGradKitError], fn: object, folder: Path, **options: object) -> str:
    """The message of the error; the folder is as it was before, without even the parents."""
    with pytest.raises(kind) as error:
        export(fn, folder, **options)
    assert list(folder.iterdir()) == [], "something was left behind"
    return str(error.value)


@both
@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: stack((None, 3), L.Dense(2)), ("not fixed", "[B, ?, 3]"), id="dynamic inner dimension"),
        pytest.param(lambda: stack((3,), L.Embedding(5, 2), dtype="int32"), ("no input", "int32"), id="integers"),
        pytest.param(
            lambda: stack((1,), L.StringLookup(vocabulary=["a"]), dtype="string"),
            ("not floating", "int64"), id="strings in",
        ),
        pytest.param(
            lambda: keras.Sequential([L.Dense(2)], name="tested"), ("must be known", "input_specs="), id="not built"
        ),
    ],
)  # fmt: skip
def test_a_model_of_the_wrong_signature(tmp_path, export, make, words):
    message = refused(export, SignatureError, make(), tmp_path)
    assert all(word in message for word in ("tested", *words)), message


@both
@pytest.mark.parametrize(
    ("fn", "spec", "words"),
    [
        pytest.param(lambda x: x, None, ("must be known", "input_specs="), id="no spec"),
        pytest.param(lambda x: x, tf.TensorSpec([None]), ("not fixed",), id="dynamic"),
        pytest.param(lambda x: x, tf.TensorSpec(None), ("not fixed",), id="any rank"),
        pytest.param(lambda x: x, tf.TensorSpec([2], tf.int32), ("not floating", "int32"), id="integers"),
        pytest.param(
            lambda x: tf.sin(tf.cast(x, tf.float32)),
            tf.TensorSpec([2], tf.int32),
            ("no input is floating", "int32"),
            id="integers in",
        ),
        pytest.param(lambda x: tf.math.real(x), tf.TensorSpec([2], tf.complex64), ("complex64",), id="complex"),
        pytest.param(
            lambda x, y: x,
            PAIR,
            ("does not take these arguments", "missing a required argument"),
            id="one spec for two arguments",
        ),
        pytest.param(lambda x: x, "float32", ("something else than tf.TensorSpec", "float32"), id="no TensorSpec"),
        pytest.param(lambda x: tf.argmax(x), PAIR, ("not floating", "int64"), id="integers out"),
        pytest.param(lambda x: None, PAIR, ("no tensor", "return"), id="no result"),
    ],
)
def test_a_function_of_the_wrong_signature(tmp_path, export, fn, spec, words):
    message = refused(export, SignatureError, fn, tmp_path, input_specs=spec)
    assert all(word in message for word in words), message


@both
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(tf.TensorSpec([None, 3]), ("[B, 2]", "[B, 3]"), id="another shape"),
        pytest.param(tf.TensorSpec([]), ("[B, 2]",), id="a scalar"),
        pytest.param(tf.TensorSpec([None, 2], tf.float64), ("float32", "float64"), id="another dtype"),
    ],
)
def test_a_spec_that_does_not_fit_the_model(tmp_path, export, spec, words):
    message = refused(export, TfGradKitError, dense(), tmp_path, input_specs=spec)
    assert all(word in message for word in ("tested", *words)), message


@both
def test_a_result_of_a_changing_size(tmp_path, export):
    message = refused(export, ExportError, lambda x: tf.boolean_mask(x, x > 0), tmp_path, input_specs=PAIR)
    assert "fixed shape" in message


@both
@pytest.mark.parametrize("fn", [3, None, "model.keras"], ids=["a number", "None", "a path"])
def test_no_model_at_all(tmp_path, export, fn):
    message = refused(export, SourceError, fn, tmp_path)
    assert type(fn).__name__ in message


@both
@pytest.mark.parametrize(
    "derivatives", [("laplacian",), ("jacobian", "jacobain"), "vpj", ("",), (3,)], ids=lambda d: repr(d)
)
def test_a_kind_that_cannot_be_exported(tmp_path, export, derivatives):
    message = refused(export, SignatureError, dense(), tmp_path, derivatives=derivatives)
    assert "value | jacobian | vjp" in message


BAD_NAMES = ["int", "restrict", "my model", "a-b", "größe", "3d", "_x", "", "a/b", "..", "x\n"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
@pytest.mark.parametrize("role", ["name", "input_names", "output_names"])
def test_a_name_that_cannot_be_used_in_c(tmp_path, name, role):
    message = refused(native, ExportError, dense(), tmp_path, **{role: name if role == "name" else (name,)})
    assert repr(name) in message
    assert "C" in message


@pytest.mark.parametrize("name", ["math", "engine", "json", "numpy"])
def test_a_name_that_other_files_have(tmp_path, name):
    message = refused(native, ExportError, dense(), tmp_path, name=name)
    assert "header, source file or Python module" in message
    assert f"{name}_model" in message


@pytest.mark.parametrize("name", ["int", "größe", "class", "n", "workspace"])
def test_the_name_that_is_proposed_is_a_good_one(tmp_path, name):
    message = refused(native, ExportError, dense(), tmp_path, name=name)
    proposed = re.search("try: for example '(.*)'", message).group(1)
    with pytest.raises(pytest.fail.Exception, match="compiler was called"):
        native(dense(), tmp_path, name=proposed)


@pytest.mark.parametrize(
    ("export", "names"),
    [
        pytest.param(saved_model, {"output_names": ("jacobian",)}, id="SavedModel, the result like its derivative"),
        pytest.param(
            saved_model, {"derivatives": ("vjp",), "input_names": ("output_gradients",)},
            id="SavedModel, the input like the seed",
        ),
        pytest.param(native, {"output_names": ("jacobian",)}, id="C, the result like its derivative"),
        pytest.param(native, {"input_names": ("jacobian",)}, id="C, the input like the derivative"),
        pytest.param(
            native, {"derivatives": ("vjp",), "output_names": ("output_gradients",)}, id="C, the result like the seed"
        ),
        pytest.param(
            native, {"derivatives": ("vjp",), "input_names": ("output_gradients",)}, id="C, the input like the seed"
        ),
        pytest.param(native, {"input_names": ("q",), "output_names": ("q",)}, id="C, the result like the input"),
    ],
)  # fmt: skip
def test_a_name_given_twice(tmp_path, export, names):
    name = (names.get("output_names") or names["input_names"])[0]
    assert name in refused(export, TfGradKitError, dense(), tmp_path, **names)


@both
@pytest.mark.parametrize("names", ["q", ("q", "r"), ()], ids=repr)
@pytest.mark.parametrize("role", ["input_names", "output_names"])
def test_not_one_name(tmp_path, export, names, role):
    assert role in refused(export, ExportError, dense(), tmp_path, **{role: names})


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        pytest.param({"x": (0,)}, ("(low, high)",), id="one number"),
        pytest.param({"x": 3}, ("(low, high)",), id="no pair"),
        pytest.param({"x": ([0, 0, 0], [1, 1, 1])}, ("[2]",), id="too many numbers"),
        pytest.param({"x": ("a", "b")}, ("(low, high)",), id="words"),
        pytest.param({"x": (2, 1)}, ("low above high",), id="low above high"),
        pytest.param({"x": ([0, 2], [1, 1])}, ("low above high",), id="low above high in one input"),
        pytest.param({"x": (float("nan"), 1)}, ("NaN",), id="NaN"),
        pytest.param({"x": (0, float("inf"))}, ("inf",), id="infinite"),
        pytest.param({"x": (-1e308, 1e308)}, ("1e+308",), id="beyond float32"),
        pytest.param({"y": (0, 1)}, ("unknown input", "x", "y"), id="of the output"),
    ],
)
def test_a_bad_range(tmp_path, bounds, words):
    message = refused(native, SignatureError, dense(), tmp_path, ranges=bounds)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("targets", [("cuda",), "host", ("host", "arm64"), ()], ids=repr)
def test_a_target_that_is_not_there(tmp_path, targets):
    message = refused(native, ExportError, dense(), tmp_path, targets=targets)
    assert '"host"' in message
    assert "x86-64-v3" in message


def test_a_target_that_this_machine_cannot_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tfgradkit.export.native.compile.targets._cpu_flags", lambda: set())
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    message = refused(native, ExportError, dense(), tmp_path, targets=("x86-64", "x86-64-v4"))
    assert "x86-64-v4" in message
    assert "could not be tested" in message


@pytest.mark.parametrize("tile", [0, 1, -8, 5000, 2.5, "16"], ids=repr)
def test_a_tile_of_no_size(tmp_path, tile):
    assert "4096" in refused(native, ExportError, dense(), tmp_path, tile=tile)


def test_changeable_weights_are_not_there_yet(tmp_path):
    model = dense()
    assert "variables" in refused(native, ExportError, model, tmp_path, variables=model.weights)


@pytest.mark.parametrize(
    ("make", "layer", "op"),
    [
        pytest.param(
            lambda: stack((4, 4, 1), L.Resizing(2, 2, "bicubic", name="shrink"), L.Flatten()),
            "shrink",
            "ResizeBicubic",
            id="an op that XLA doesn't have",
        ),
        pytest.param(lambda: stack((2,), Words(name="speak"), L.Dense(2)), "speak", "AsString", id="strings inside"),
    ],
)
def test_a_layer_without_kernels_is_named(tmp_path, make, layer, op):
    with pytest.raises(UnsupportedModelError) as error:
        native(make(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert set(error.value.layers) == {layer}
    assert len(error.value.ops) == len(error.value.layers)
    assert op is None or op in error.value.ops
    assert f"layer {layer!r}, op {error.value.ops[0]}" in str(error.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: dense("float16"), ("input float16", "output float16"), id="float16"),
        pytest.param(lambda: dense("bfloat16"), ("input bfloat16",), id="bfloat16"),
        pytest.param(
            lambda: stack((2,), L.Dense(2, dtype="mixed_float16")), ("input float32", "output float16"), id="mixed"
        ),
    ],
)
def test_dtypes_that_c_does_not_have(tmp_path, make, words):
    message = refused(native, UnsupportedModelError, make(), tmp_path)
    assert all(word in message for word in ("tested", *words)), message


@pytest.mark.parametrize(
    ("make", "x"),
    [
        pytest.param(lambda: dense("float16"), np.ones((3, 2), np.float16), id="float16"),
        pytest.param(lambda: stack((2,), L.Dense(2, dtype="float64")), np.ones((3, 2), np.float32), id="two dtypes"),
        pytest.param(lambda: stack((2,), L.Dense(2), name="my-model.v2"), np.ones((3, 2), np.float32), id="any name"),
    ],
)
def test_a_saved_model_has_every_dtype_and_name(tmp_path, make, x):
    model = make()
    saved_model(model, tmp_path)
    answers = tf.saved_model.load(str(tmp_path / "made" / "out")).signatures["jacobian"](x=tf.constant(x))
    assert answers["jacobian"].dtype == model.outputs[0].dtype
    np.testing.assert_allclose(answers["y"], model(x), rtol=1e-3)
    np.testing.assert_allclose(answers["jacobian"], tgk.jacobian(model)(x), rtol=1e-3)


def test_a_lambda_is_exported_as_a_saved_model(tmp_path):
    saved_model(lambda x: x * x, tmp_path, input_specs=PAIR)
    answers = tf.saved_model.load(str(tmp_path / "made" / "out")).signatures["jacobian"](x=tf.constant([[2.0, 3.0]]))
    np.testing.assert_allclose(answers["jacobian"], [[[4.0, 0.0], [0.0, 6.0]]])


@pytest.mark.parametrize("batch", [0, -1, 1.5, "3"], ids=repr)
def test_a_batch_size_that_is_none(tmp_path, batch):
    assert "batch" in refused(saved_model, TfGradKitError, dense(), tmp_path, batch=batch)
