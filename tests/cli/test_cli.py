"""The command line: what it prints where, its exit codes, and what it leaves on the disk."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import tfgradkit as tgk
from tfgradkit.__main__ import cli, main
from tfgradkit.export.native.compile.targets import choose_targets

NAME = "tiny"
TILE = 8
KERNELS = [f"src/tiny_{target.label}_value_{n}.o" for target in choose_targets(("host",)) for n in (1, TILE)]
LIBRARY_FILES = sorted(
    [
        "LICENSES/Apache-2.0.txt",
        "SHA256SUMS",
        "fortran/tiny.f90",
        "include/tiny.h",
        "include/tiny.hpp",
        "lib/cmake/tiny/tiny-config-version.cmake",
        "lib/cmake/tiny/tiny-config.cmake",
        "lib/libtiny.a",
        "lib/libtiny.so",
        "lib/pkgconfig/tiny.pc",
        "python/_python_call.abi3.so",
        "python/tiny.py",
        "share/tiny/metadata.json",
        "share/tiny/testvectors.npz",
        "share/tiny/testvectors_float64.npz",
        "src/CMakeLists.txt",
        "src/constants.c",
        "src/constants.h",
        "src/engine.h",
        "src/engine_steps.h",
        "src/processor.h",
        "src/products.h",
        "src/record.c",
        "src/tiny.c",
        *KERNELS,
        "test/check.c",
    ]
)
COMMANDS = ["show", "explain", "audit", "check", "graph", "report", "export", "compile", "verify"]


def process(*arguments: object, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, "-m", "tfgradkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "tanh", name="only")], name="small")


@pytest.fixture(scope="module")
def model_file(model, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("a model") / "small.keras"
    model.save(file)
    return file


@pytest.fixture(scope="module")
def compiled(model_file, tmp_path_factory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What ``tfgradkit compile`` printed, and the folder it wrote; not to be changed."""
    folder = tmp_path_factory.mktemp("compiled") / "new" / "out"
    return process(
        "compile", model_file, "--output", folder, "--name", NAME, "--derivative", "value", "--tile", TILE
    ), folder


@pytest.fixture
def library(compiled, tmp_path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(compiled[1], tmp_path / "library")


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command in this process, which has TensorFlow already: exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tfgradkit", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code or 0
        return code, *capsys.readouterr()

    return call


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def check_failure(code: int, out: str, err: str, *words: str) -> None:
    assert code == 1
    assert out == ""
    assert err.startswith("tfgradkit: "), err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 6, "the error is not short"
    assert all(word in err for word in words), err


def imported(*arguments: str, code: str | None = None) -> set[str]:
    """Top-level packages that a command imports."""
    target = ["-c", code] if code else ["-m", "tfgradkit", *arguments]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *target], capture_output=True, text=True, check=True, timeout=60
    )
    return set(re.findall(r"^import time:.*\| +([A-Za-z_]\w*)", done.stderr, re.MULTILINE))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)], ids=" ".join
)
def test_help_does_not_import_tensorflow(arguments):
    packages = imported(*arguments)
    assert "click" in packages, "the list of imports is not what the test takes it for"
    assert not packages & {"tensorflow", "keras", "numpy"}


def test_the_native_module_does_not_import_tensorflow():
    packages = imported(code="import tfgradkit.native, tfgradkit.errors, tfgradkit")
    assert "numpy" in packages
    assert not packages & {"tensorflow", "keras"}


def test_verify_does_not_import_tensorflow(compiled):
    assert not imported("verify", str(compiled[1])) & {"tensorflow", "keras"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option(command):
    result = CliRunner().invoke(cli, [command, "--help"], prog_name="tfgradkit")
    assert result.exit_code == 0
    named = {
        "show": ["MODEL"],
        "export": ["MODEL", "--output", "--derivative", "--batch", "--overwrite"],
        "compile": [
            "MODEL",
            "--output",
            "--name",
            "--derivative",
            "--target",
            "--tile",
            "--low",
            "--high",
            "--overwrite",
        ],
        "verify": ["FOLDER"],
        "graph": ["MODEL", "--derivative", "--simplify", "--structure", "--depth", "--size", "--inputs"],
        "explain": ["MODEL", "--wrt"],
        "audit": ["MODEL", "--order", "--target", "--wrt"],
        "check": ["MODEL", "--order", "--samples", "--seed", "--low", "--high"],
        "report": ["MODEL", "--output", "--library", "--low", "--high", "--overwrite"],
    }[command]
    assert all(word in result.output for word in named), result.output
    # And none is forgotten, here or in its help.
    options = {name for option in cli.commands[command].params for name in option.opts if name.startswith("--")}
    assert all(word in result.output for word in options), result.output
    undocumented = {o.opts[0] for o in cli.commands[command].params if o.opts[0].startswith("--") and not o.help}
    assert undocumented == set()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nothing"),
        pytest.param(["differentiate"], id="unknown command"),
        pytest.param(["show"], id="no model"),
        pytest.param(["export", "m.keras"], id="no output"),
        pytest.param(["compile", "m.keras", "--output", "out"], id="no name"),
        pytest.param(["export", "m.keras", "--output", "out", "--derivative", "laplacian"], id="unknown kind"),
        pytest.param(["export", "m.keras", "--output", "out", "--batch", "0"], id="no batch"),
        pytest.param(["compile", "m.keras", "--output", "out", "--name", "a", "--low", "1"], id="low without high"),
        pytest.param(
            ["compile", "m.keras", "--output", "out", "--name", "a", "--low", "1,a", "--high", "2"], id="no number"
        ),
        pytest.param(["verify", "out", "--quickly"], id="unknown option"),
    ],
)
def test_a_wrong_call_is_exit_code_2_and_imports_nothing(run, monkeypatch, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tfgradkit.cli.commands.import_tensorflow", lambda: pytest.fail("TensorFlow was imported"))
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert "Usage: tfgradkit" in err
    assert list(tmp_path.iterdir()) == []


def test_exit_codes_of_the_process(tmp_path):
    failed = process("verify", tmp_path / "none")
    check_failure(failed.returncode, failed.stdout, failed.stderr, str(tmp_path / "none"))
    wrong = process("verify")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_a_failed_export_of_the_process_is_short_and_leaves_nothing(tmp_path):
    (tmp_path / "cut.keras").write_bytes(b"PK\x03\x04")
    done = process("export", tmp_path / "cut.keras", "--output", tmp_path / "a" / "out")
    check_failure(done.returncode, done.stdout, done.stderr, "truncated or foreign", "cut.keras")
    assert [p.name for p in tmp_path.iterdir()] == ["cut.keras"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param("none.keras", ["no such model", "none.keras"], id="missing"),
        pytest.param("no_such_package:model", ["can't be imported", "no_such_package"], id="no module"),
        pytest.param("math:pi", ["can't be differentiated", "float"], id="no function"),
        pytest.param("math:sin", ["input_specs"], id="no shape"),
        pytest.param("here.txt", ["not known", ".txt"], id="unknown ending"),
        pytest.param("empty", ["no SavedModel", "empty"], id="an empty folder"),
    ],
)
@pytest.mark.parametrize("command", ["show", "export", "compile"])
def test_a_model_that_cannot_be_used(run, monkeypatch, tmp_path, command, model, words):
    (tmp_path / "here.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    options = {"show": [], "export": ["--output", "a/out"], "compile": ["--output", "a/out", "--name", NAME]}[command]
    check_failure(*run(command, model, *options), *words)
    assert snapshot(tmp_path) == before


def test_show_prints_a_table_on_standard_output(run, model_file):
    code, out, err = run("show", model_file)
    assert (code, err) == (0, "")
    assert "small" in out
    assert "float32 [B, 2]" in out
    assert re.search(r"jacobian +yes +yes", out)


def test_show_says_what_cannot_be_a_c_library(run, tmp_path):
    layers = keras.layers
    keras.Sequential([keras.Input((4, 4, 1)), layers.Resizing(2, 2, "bicubic"), layers.Flatten()]).save(
        tmp_path / "small.keras"
    )
    code, out, _ = run("show", tmp_path / "small.keras")
    assert code == 0
    assert re.search(r"jacobian +yes +no: ", out)
    assert "ResizeBicubic" in out


@pytest.mark.parametrize("command", ["export", "compile"])
def test_a_folder_that_is_there_is_not_touched(run, model_file, library, tmp_path, command):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    name = ["--name", NAME] if command == "compile" else []
    for folder, overwrite in ((library, []), (foreign, []), (foreign, ["--overwrite"])):
        before = snapshot(tmp_path)
        check_failure(*run(command, model_file, "--output", folder, *name, *overwrite), str(folder))
        assert snapshot(tmp_path) == before


def test_export_writes_a_saved_model_and_overwrites_only_when_told(run, model, model_file, tmp_path):
    arguments = ["export", model_file, "--output", tmp_path / "a" / "out", "--derivative", "jacobian"]
    code, out, err = run(*arguments, "--derivative", "vjp", "--batch", "3")
    assert (code, err) == (0, "")
    assert str(tmp_path / "a" / "out") in out.replace("\n", "")
    x = tf.constant([[0.3, -0.7], [1.1, 0.2], [0.0, 2.0]])
    signatures = tf.saved_model.load(str(tmp_path / "a" / "out")).signatures
    assert set(signatures) == {"value", "jacobian", "vjp", "serving_default"}
    np.testing.assert_allclose(signatures["jacobian"](x=x)["jacobian"], tgk.jacobian(model)(x), rtol=1e-5)
    check_failure(*run(*arguments), "not empty", "--overwrite")
    assert run(*arguments, "--overwrite")[0] == 0
    assert "vjp" not in tf.saved_model.load(str(tmp_path / "a" / "out")).signatures
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["out"]


def test_compile_writes_a_library_that_answers_like_the_model(compiled, model):
    done, folder = compiled
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stdout
    assert "Traceback" not in done.stderr
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == LIBRARY_FILES
    x = np.array([[0.3, -0.7], [1.1, 0.2]], np.float32)
    np.testing.assert_allclose(tgk.load_native(folder).value(x), model(x), rtol=1e-5)


def test_compile_overwrites_when_told(run, model_file, library):
    (library / "old").write_text("of the earlier one")
    arguments = ["compile", model_file, "--output", library, "--name", "other", "--derivative", "value", "--overwrite"]
    assert run(*arguments, "--low", "-1,-2", "--high", "1,2")[0] == 0
    assert not (library / "old").exists()
    assert tgk.load_native(library).metadata["ranges"] == {"x": [[-1.0, -2.0], [1.0, 2.0]]}


def test_compile_makes_code_for_the_targets_named(run, model_file, tmp_path):
    plain = choose_targets(("host",))[0].name
    arguments = ["compile", model_file, "--output", tmp_path / "out", "--name", NAME, "--derivative", "value"]
    assert run(*arguments, "--target", plain, "--tile", "4")[0] == 0
    metadata = tgk.load_native(tmp_path / "out").metadata
    assert [target["name"] for target in metadata["targets"]] == [plain]
    assert metadata["functions"][0]["tile_points"] == {plain: 4}


def test_compile_refuses_a_target_before_anything_is_written(run, model_file, tmp_path):
    arguments = ["compile", model_file, "--output", tmp_path / "a" / "out", "--name", NAME, "--target", "8086"]
    check_failure(*run(*arguments), "8086", "x86-64-v3", "host")
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_two_inputs_is_shown_and_compiled_with_their_ranges(run, tmp_path):
    left, right = keras.Input((2,), name="left"), keras.Input((1,), name="right")
    keras.Model([left, right], keras.layers.Dense(2)(left) * right, name="two").save(tmp_path / "two.keras")
    shown = run("show", tmp_path / "two.keras")
    assert shown[0] == 0
    assert "left float32 [B, 2], right float32 [B, 1]" in " ".join(shown[1].split())
    arguments = ["compile", tmp_path / "two.keras", "--output", tmp_path / "out", "--name", "two", "--target", "x86-64"]
    bounds = ["--low", "left=-1,-2", "--high", "left=1,2", "--low", "right=0", "--high", "right=5"]
    assert run(*arguments, *bounds)[0] == 0
    expected = {"left": [[-1.0, -2.0], [1.0, 2.0]], "right": [[0.0], [5.0]]}
    assert tgk.load_native(tmp_path / "out").metadata["ranges"] == expected


def test_compile_refuses_a_name_before_anything_is_written(run, model_file, tmp_path):
    check_failure(*run("compile", model_file, "--output", tmp_path / "a" / "out", "--name", "my model"), "my model")
    assert list(tmp_path.iterdir()) == []


def test_verify_accepts_what_was_written(run, library):
    code, out, err = run("verify", library)
    assert (code, err) == (0, "")
    assert "value.y" in out


@pytest.mark.parametrize("file", LIBRARY_FILES)
def test_verify_finds_a_changed_byte_and_a_missing_file(run, library, file):
    content = bytearray((library / file).read_bytes())
    content[len(content) // 2] ^= 1
    (library / file).write_bytes(content)
    check_failure(*run("verify", library))
    (library / file).unlink()
    check_failure(*run("verify", library))


def test_explain_is_exit_code_0_where_all_is_connected(run, model_file):
    assert run("explain", model_file) == (0, "y by x: connected\n", "")
    assert run("explain", model_file, "--wrt", "parameters") == (0, "2 of 2 connected\n", "")


def test_explain_names_the_layer_that_cuts(run, tmp_path):
    layers = [keras.layers.Dense(2, name="first"), keras.layers.Rescaling(0.0, name="nothing"), keras.layers.Dense(1)]
    keras.Sequential([keras.Input((2,)), *layers]).save(tmp_path / "cut.keras")
    code, out, err = run("explain", tmp_path / "cut.keras", "--wrt", "parameters")
    assert (code, err) == (1, "")
    assert out.startswith("1 of 4 connected\n")
    assert "y by first/kernel, first/bias: the gradient is zero (unused)\n" in out
    assert "layer nothing\n" in out
    assert all(len(line) <= 80 for line in out.splitlines())
