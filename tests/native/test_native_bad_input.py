"""C libraries when something around the model fails: the compilers, the disk, the user, a copied folder."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import build, mlp

import tfgradkit as tgk
from tfgradkit.errors import (
    ChecksumError,
    CompilerError,
    ExportError,
    LibraryError,
    OutputFolderError,
    SignatureError,
    ToolchainError,
    VersionError,
)
from tfgradkit.export.native.compile import tfcompile, toolchain
from tfgradkit.export.native.compile.targets import choose_targets
from tfgradkit.export.native.library import python_extension
from tfgradkit.tensorflow_version import require_tensorflow

PLAIN = (choose_targets(("host",))[0].name,)
X = np.array([[0.3, -0.7], [1.1, 0.2]], np.float32)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build(mlp(inputs=2, outputs=2, width=3), "float32")


@pytest.fixture
def no_compiler(monkeypatch) -> None:
    monkeypatch.setattr(
        "tfgradkit.export.native.compile.compile.compile_jobs", lambda *_: pytest.fail("the compiler was called")
    )


@pytest.fixture
def library(mlp_library, tmp_path) -> Path:
    """A copy of a library's folder that a test may damage."""
    return shutil.copytree(mlp_library[1].path, tmp_path / "library")


def export(model: object, folder: Path, **options: object) -> tgk.NativeLibrary:
    return tgk.export_native(
        model, folder / "made" / "out", "tiny", **{"derivatives": ("value",), "tile": 8, **options}
    )


def test_an_export_without_pythons_headers_has_no_extension(model, tmp_path, monkeypatch):
    monkeypatch.setattr(python_extension, "_headers", lambda: (tmp_path, tmp_path))
    python_extension.python_extension.cache_clear()
    try:
        library = export(model, tmp_path)
    finally:
        python_extension.python_extension.cache_clear()
    assert not list((library.path / "python").glob("*.so"))
    assert library.metadata["python_extension"] == {"file": None, "not_built": "there is no Python.h"}
    assert library.binding == "ctypes"
    assert library.value(X).shape == (2, 2)


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        pytest.param("no-such-compiler -O2", "no-such-compiler", id="not there"),
        pytest.param("/etc/passwd", "/etc/passwd", id="not a program"),
        pytest.param("'cc", "CC", id="an open quote"),
        pytest.param("false", "false", id="a program that fails"),
    ],
)
def test_a_c_compiler_that_cannot_be_run_is_told_before_compiling(model, tmp_path, monkeypatch, chosen, told):
    monkeypatch.setenv("CC", chosen)
    with pytest.raises(ToolchainError) as error:
        export(model, tmp_path)
    assert told in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("chosen", ["", "  "], ids=["empty", "blanks"])
def test_an_empty_choice_is_no_choice(monkeypatch, chosen):
    monkeypatch.setenv("CC", chosen)
    assert shutil.which(toolchain.find_toolchain().cc[0])


@pytest.mark.usefixtures("no_compiler")
def test_no_c_compiler_at_all(model, tmp_path, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match="no C compiler") as error:
        export(model, tmp_path)
    assert "tfgradkit[native]" in error.value.hint
    assert list(tmp_path.iterdir()) == []


def test_the_compiler_of_the_ziglang_wheel_is_the_last_choice(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    assert toolchain.find_toolchain().cc == (sys.executable, "-m", "ziglang", "cc")


def test_a_c_compiler_that_fails_half_way(model, tmp_path, monkeypatch):
    script = tmp_path / "bin" / "cc"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo mine 1.0 && exit\necho 'out of memory' >&2; exit 4\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    with pytest.raises(ToolchainError, match="out of memory") as error:
        export(model, tmp_path / "work")
    assert str(script) in error.value.hint
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        pytest.param("import sys; print('no such kernel', file=sys.stderr); sys.exit(3)", "no such kernel", id="fails"),
        pytest.param("import os; os.kill(os.getpid(), 11)", "SIGSEGV", id="crashes"),
        pytest.param("pass", "tiny_x86_64_value_1", id="writes nothing"),
    ],
)
def test_a_graph_compiler_that_fails(model, tmp_path, monkeypatch, code, told):
    def started(_: list[str], **options: object) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", code], **options)

    monkeypatch.setattr(tfcompile, "subprocess", SimpleNamespace(Popen=started, PIPE=subprocess.PIPE))
    with pytest.raises(CompilerError) as error:
        export(model, tmp_path)
    assert told in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("version", ["2.20.0", "2.22.0", "none"])
def test_another_tensorflow_is_refused(model, tmp_path, monkeypatch, version):
    monkeypatch.setattr("tfgradkit.tensorflow_version.tensorflow_version", lambda: version)
    with pytest.raises(VersionError) as error:
        export(model, tmp_path)
    assert (error.value.got, error.value.expected) == (version, "2.21.*")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["2.21", "2.21.0", "2.21.3", "2.21.0rc1", "2.21.0+cpu"])
def test_every_patch_of_the_supported_tensorflow_will_do(version):
    require_tensorflow(version)


@pytest.mark.parametrize("version", ["2.2", "2.2.1", "2.210.0", "12.21.0", "3.0", ""])
def test_versions_that_only_look_alike_are_refused(version):
    with pytest.raises(VersionError):
        require_tensorflow(version)


def roots(shift: float) -> keras.Model:
    layer = keras.layers.Lambda(lambda x: tf.sqrt(x - shift), output_shape=(2,))
    return keras.Sequential([keras.Input((2,)), layer], name="roots")


def test_a_model_without_finite_values_needs_a_range(tmp_path):
    with pytest.raises(ExportError, match="no finite value") as error:
        export(roots(9.0), tmp_path)
    assert "ranges=" in error.value.hint
    assert list(tmp_path.iterdir()) == []
    library = export(roots(9.0), tmp_path, ranges={"x": (10.0, 11.0)})
    np.testing.assert_allclose(library.value(np.array([10.0, 10.25])), np.sqrt([1.0, 1.25]), rtol=1e-6)


def test_a_model_without_finite_values_in_its_range_is_told_that(tmp_path):
    with pytest.raises(ExportError, match="no finite value") as error:
        export(roots(9.0), tmp_path, ranges={"x": (0.0, 1.0)})
    assert "give the range" not in str(error.value), "the range was given: it is the wrong one"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["tracing", "compiling", "building the library"])
def test_a_stopped_export_leaves_nothing(model, tmp_path, step):
    def stop(name: str) -> None:
        if name.startswith(step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(model, tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_disagrees_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr("tfgradkit.native.loaded_library.relative_error", lambda got, expected, precision: 0.5)
    with pytest.raises(LibraryError, match="disagrees"):
        export(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_overwrite_replaces_the_library_that_is_loaded(model, tmp_path):
    # The loader keeps what it loaded from a path, and would answer with the earlier model.
    export(model, tmp_path)
    other = keras.models.clone_model(model)
    other.set_weights([0.5 + w for w in model.get_weights()])
    with pytest.raises(OutputFolderError, match="not empty"):
        export(other, tmp_path)
    library = export(other, tmp_path, overwrite=True)
    np.testing.assert_allclose(library.value(X), other(X), rtol=1e-4)
    np.testing.assert_allclose(tgk.load_native(library.path).value(X), other(X), rtol=1e-4)
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["out"]


def nothing(folder: Path) -> None:
    shutil.rmtree(folder)


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("text")


def no_metadata(folder: Path) -> None:
    shutil.rmtree(folder / "share")


def two_libraries(folder: Path) -> None:
    shutil.copytree(folder / "share" / "mlp", folder / "share" / "other")


def another_interface(folder: Path) -> None:
    file = folder / "share" / "mlp" / "metadata.json"
    file.write_text(file.read_text().replace('"abi_version": 1', '"abi_version": 99'))


def metadata_cut(folder: Path) -> None:
    os.truncate(folder / "share" / "mlp" / "metadata.json", 100)


@pytest.mark.parametrize(
    "damage", [nothing, a_file, no_metadata, two_libraries, another_interface, metadata_cut], ids=lambda f: f.__name__
)
def test_a_folder_that_holds_no_whole_library(library, damage):
    damage(library)
    with pytest.raises(LibraryError) as error:
        tgk.load_native(library)
    assert str(library) in str(error.value)


@pytest.mark.parametrize("file", ["lib/libmlp.so", "src/mlp.c", "share/mlp/testvectors.npz", "SHA256SUMS"])
def test_a_changed_byte_or_a_missing_file_is_found_on_load(library, file):
    content = bytearray((library / file).read_bytes())
    content[len(content) // 2] ^= 1
    (library / file).write_bytes(content)
    with pytest.raises(ChecksumError):
        tgk.load_native(library)
    (library / file).unlink()
    with pytest.raises(ChecksumError, match=Path(file).name):
        tgk.load_native(library)


def test_a_changed_byte_of_the_metadata_is_found_on_load(library):
    file = library / "share" / "mlp" / "metadata.json"
    content = file.read_bytes()
    named = content.index(b'"name"') + 2
    for place in (named, *random.Random(5).sample(range(len(content)), 25)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(LibraryError):
            tgk.load_native(library)


def test_a_library_for_another_machine_is_a_library_error(library):
    from tfgradkit.native.artifact import write_checksums

    (library / "lib" / "libmlp.so").write_bytes(b"\x7fELF of another machine")
    write_checksums(library)
    with pytest.raises(LibraryError, match="can't be loaded on this machine"):
        tgk.load_native(library)


@pytest.mark.parametrize("x", [None, [[1.0, 2.0], [3.0]], [["a"] * 6]], ids=["None", "ragged", "words"])
def test_what_is_no_array_is_a_signature_error(mlp_library, x):
    with pytest.raises(SignatureError, match="x"):
        mlp_library[1].value(x)


def test_a_missing_seed_is_told_by_its_name(mlp_library):
    with pytest.raises(SignatureError, match=r"output_gradients.*missing"):
        mlp_library[1].vjp(np.ones(6), None)
