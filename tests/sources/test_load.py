"""``tfgradkit.load`` with good files, and with files that are damaged, foreign or missing."""

from __future__ import annotations

import random
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from models import build, mlp

import tfgradkit as tgk
from tfgradkit.errors import ModelFileError, SignatureError, SourceError, TfGradKitError, UnknownLayerError

X = np.array([[0.3, -0.7], [1.1, 0.2], [-0.4, 0.9]], np.float32)
VARIABLES = "variables/variables.data-00000-of-00001"


class Doubled(keras.layers.Layer):
    """A layer that no file reader knows."""

    def call(self, x):
        return 2 * x


def wave(x):
    """An activation that no file reader knows."""
    return keras.ops.sin(x)


def model_with(layer: Callable | keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="first"), layer], name="special")


@pytest.fixture(scope="module")
def small() -> keras.Model:
    return build(mlp(inputs=2, outputs=3, width=4), "float32")


@pytest.fixture(scope="module")
def files(small, tmp_path_factory) -> Path:
    """``good.keras``, ``good.h5`` and the SavedModel folder ``good``; not to be changed."""
    folder = tmp_path_factory.mktemp("files")
    small.save(folder / "good.keras")
    small.save(folder / "good.h5")
    tgk.export_saved_model(small, folder / "good", ("jacobian", "vjp"))
    return folder


def rezipped(source: Path, target: Path, **edits: Callable[[bytes], bytes] | None) -> Path:
    """A copy of a .keras file with members edited, or left out; checksums of the zip stay right."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            edit = edits.get(name.split(".")[0], lambda content: content)
            if edit is not None:
                new.writestr(name, edit(old.read(name)))
    return target


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_keras_file_is_the_model_that_was_saved(files, small, suffix):
    loaded = tgk.load(files / f"good.{suffix}")
    np.testing.assert_array_equal(loaded(X), small(X))
    np.testing.assert_allclose(tgk.jacobian(loaded)(X), tgk.jacobian(small)(X), rtol=1e-6)


def test_an_exported_saved_model_is_differentiable_again(files, small):
    loaded = tgk.load(files / "good")
    np.testing.assert_allclose(loaded(X), small(X), rtol=1e-6)
    jacobian = tgk.jacobian(loaded)(X)
    assert jacobian.shape == (3, 3, 2)
    np.testing.assert_allclose(jacobian, tgk.jacobian(small)(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("seed", range(12))
def test_a_truncated_file_is_told_as_such(files, tmp_path, suffix, seed):
    content = (files / f"good.{suffix}").read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(content[: random.Random(seed).randrange(len(content))])
    with pytest.raises(ModelFileError, match=str(cut)):
        tgk.load(cut)


def flipped_places(content: bytes, start_of_directory: int) -> list[tuple[int, int]]:
    """Places anywhere, and in the zip's directory and its first header, where the readers' decisions hang."""
    generator = random.Random(7)
    anywhere = [generator.randrange(len(content)) for _ in range(60)]
    decisive = [*range(start_of_directory, len(content)), *range(40)]
    return [(n, 0xFF) for n in anywhere] + [(n, 1 << generator.randrange(8)) for n in decisive]


def test_a_flipped_byte_is_an_error_of_the_tree_or_harmless(files, tmp_path, small):
    content = (files / "good.keras").read_bytes()
    with zipfile.ZipFile(files / "good.keras") as archive:
        places = flipped_places(content, archive.start_dir)
    expected, refused = small(X).numpy(), 0
    for place, bits in places:
        damaged = bytearray(content)
        damaged[place] ^= bits
        file = tmp_path / "flipped.keras"
        file.write_bytes(damaged)
        try:
            loaded = tgk.load(file)
        except TfGradKitError:
            refused += 1
        else:
            np.testing.assert_array_equal(loaded(X), expected, f"byte {place} ^ {bits:#x} changed the model")
    assert refused > 60, "most places hold the model's content, whose checksum must catch a change"


@pytest.mark.parametrize(
    ("place", "bits"), [pytest.param(8, 0x01, id="as encrypted"), pytest.param(10, 0x08, id="as deflated")]
)
def test_a_flipped_flag_in_the_zip_directory_is_an_error_of_the_tree(files, tmp_path, place, bits):
    content = bytearray((files / "good.keras").read_bytes())
    with zipfile.ZipFile(files / "good.keras") as archive:
        start = archive.start_dir
    assert content[start : start + 4] == b"PK\x01\x02"
    content[start + place] ^= bits
    (tmp_path / "flag.keras").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"flag\.keras"):
        tgk.load(tmp_path / "flag.keras")


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        pytest.param({"config": None}, r"without config\.json", id="no config"),
        pytest.param({"model": None}, r"without model\.weights\.h5", id="no weights"),
        pytest.param({"config": lambda c: c[: len(c) // 2]}, "can't read", id="config cut"),
        pytest.param({"config": lambda c: b"[]"}, "can't read", id="config of another kind"),
        pytest.param({"config": lambda c: b"\xff\xfe\x00"}, "can't read", id="config not text"),
        pytest.param({"model": lambda c: c[: len(c) // 2]}, "can't read", id="weights cut"),
        pytest.param({"model": lambda c: b""}, "can't read", id="weights empty"),
        pytest.param(
            {"config": lambda c: c.replace(b'"units": 3', b'"units": 5')}, "can't read", id="weights of other shapes"
        ),
    ],
)
def test_a_wrong_zip_is_a_model_file_error(files, tmp_path, edits, told):
    with pytest.raises(ModelFileError, match=told) as error:
        tgk.load(rezipped(files / "good.keras", tmp_path / "wrong.keras", **edits))
    assert str(tmp_path / "wrong.keras") in str(error.value)


@pytest.mark.parametrize("suffix", ["keras", "h5", "hdf5"])
@pytest.mark.parametrize("content", [b"", b"some text\n" * 40, b"\x89PNG" * 40], ids=["empty", "text", "a picture"])
def test_a_foreign_file_with_a_known_ending_is_refused(tmp_path, suffix, content):
    file = tmp_path / f"foreign.{suffix}"
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match="truncated or foreign"):
        tgk.load(file)


def test_an_hdf5_file_without_a_model_is_refused(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["numbers"] = [1, 2]
    with pytest.raises(ModelFileError, match=r"data\.h5"):
        tgk.load(tmp_path / "data.h5")


@pytest.mark.parametrize("name", ["model.pt", "model.onnx", "model"])
def test_an_unknown_ending_is_told_with_the_known_ones(tmp_path, name):
    (tmp_path / name).write_bytes(b"whatever")
    with pytest.raises(ModelFileError, match=r"not known") as error:
        tgk.load(tmp_path / name)
    assert ".keras" in error.value.expected
    assert error.value.got in (".pt", ".onnx", "no file ending")


@pytest.mark.parametrize(
    "name",
    [
        "none.keras",
        "none",
        "none/none.keras",
        "file/below.keras",
        pytest.param("x" * 300 + ".keras", id="name too long"),
    ],
)
def test_a_missing_file_is_a_model_file_error(tmp_path, name):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(ModelFileError):
        tgk.load(tmp_path / name)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(
    ("make", "name", "known"),
    [
        pytest.param(lambda: Doubled(), "Doubled", {"Doubled": Doubled}, id="layer"),
        pytest.param(lambda: keras.layers.Dense(2, wave), "wave", {"wave": wave}, id="activation"),
    ],
)
def test_a_custom_object_must_be_given(tmp_path, suffix, make, name, known):
    model = model_with(make())
    model.save(tmp_path / f"custom.{suffix}")
    with pytest.raises(UnknownLayerError) as error:
        tgk.load(tmp_path / f"custom.{suffix}")
    assert error.value.got == name
    assert f'custom_objects={{"{name}"' in error.value.hint
    np.testing.assert_array_equal(tgk.load(tmp_path / f"custom.{suffix}", custom_objects=known)(X), model(X))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_the_code_of_a_lambda_layer_is_not_run(tmp_path, suffix):
    model_with(keras.layers.Lambda(lambda x: x + 1)).save(tmp_path / f"code.{suffix}")
    with pytest.raises(UnknownLayerError, match="Python code"):
        tgk.load(tmp_path / f"code.{suffix}")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        pytest.param(lambda d: (d / "saved_model.pb").unlink(), r"saved_model\.pb", id="no graph"),
        pytest.param(lambda d: (d / "saved_model.pb").write_bytes(b""), "can't be loaded", id="graph empty"),
        pytest.param(lambda d: (d / "saved_model.pb").write_text("text"), "can't be loaded", id="graph foreign"),
        pytest.param(lambda d: shutil.rmtree(d / "variables"), "can't be loaded", id="no variables folder"),
        pytest.param(lambda d: (d / "variables/variables.index").unlink(), "can't be loaded", id="no index"),
        pytest.param(lambda d: (d / VARIABLES).unlink(), "can't be loaded", id="no numbers"),
        pytest.param(lambda d: (d / VARIABLES).write_bytes(b"12345678"), "can't be loaded", id="numbers cut"),
    ],
)
def test_a_damaged_saved_model_is_a_model_file_error(files, tmp_path, damage, told):
    folder = shutil.copytree(files / "good", tmp_path / "damaged")
    damage(folder)
    with pytest.raises(ModelFileError, match=told) as error:
        tgk.load(folder)
    assert str(folder) in str(error.value)


def test_a_truncated_graph_of_a_saved_model_is_a_model_file_error(files, tmp_path):
    folder = shutil.copytree(files / "good", tmp_path / "cut")
    content = (folder / "saved_model.pb").read_bytes()
    for length in random.Random(3).sample(range(1, len(content)), 12):
        (folder / "saved_model.pb").write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="can't be loaded"):
            tgk.load(folder)


def test_an_unknown_signature_is_refused(files):
    with pytest.raises(SignatureError, match=r"value | jacobian | vjp"):
        tgk.load(files / "good", signature="nothing")


@pytest.fixture
def modules(tmp_path, monkeypatch) -> None:
    """Python files in the working folder, as a user of the command line has them."""
    (tmp_path / "tgk_good.py").write_text("class Holder:\n    def cube(x):\n        return x * x * x\n")
    (tmp_path / "tgk_typo.py").write_text("def broken(:\n")
    (tmp_path / "tgk_raises.py").write_text("raise RuntimeError('no weights here')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # load() adds the working folder


@pytest.mark.usefixtures("modules")
def test_an_attribute_of_a_module_in_the_working_folder_is_found():
    np.testing.assert_allclose(tgk.gradient(tgk.load("tgk_good:Holder.cube"))(2.0), 12.0)


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    "text",
    ["tgk_good:nothing", "tgk_good:Holder.nothing", "tgk_missing:model", "tgk_good.deeper:model", "tgk_typo:broken",
     "tgk_raises:model", "tgk_good:Holder."],
)  # fmt: skip
def test_an_attribute_that_cannot_be_imported_is_a_source_error(text):
    with pytest.raises(SourceError, match=text):
        tgk.load(text)
