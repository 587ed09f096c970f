"""``python/<name>.py``: the exported folder's own module, without tfgradkit."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pair
import pytest

from tfgradkit.export.native.library.clients import write_python_module
from tfgradkit.native.artifact import EXTENSION


def run(code: str, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Python that finds the module, and no tfgradkit."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(folder / "python")
    head = "import json, sys, warnings, numpy as np\nsys.modules['tfgradkit'] = sys.modules['tensorflow'] = None\n"
    command = [sys.executable, "-W", "error", "-c", head + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder.parent)


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def moved(water_library, tmp_path_factory):
    """The water library's folder, in another place."""
    return Path(shutil.copytree(water_library.path, tmp_path_factory.mktemp("moved here") / "größe"))


def test_the_same_as_load_native_to_the_last_bit(moved, water_library, water_points, tmp_path):
    np.savez(tmp_path / "in.npz", x=water_points["x"], u=water_points["output_gradients"])
    code = (
        "import eos; p = np.load(sys.argv[1])\n"
        "y, j = eos.value_and_jacobian(p['x']); z, v = eos.value_and_vjp(p['x'], output_gradients=p['u'])\n"
        "np.savez(sys.argv[2], y=y, j=j, z=z, v=v, value=eos.value(p['x']), jacobian=eos.jacobian(p['x']),"
        " vjp=eos.vjp(p['x'], p['u']), one=eos.jacobian(p['x'][0].tolist()),"
        " grid=eos.jacobian(p['x'][:6].reshape(2, 3, 2).astype('>f8')), none=eos.jacobian(p['x'][:0]),"
        " wide=eos.value(np.repeat(p['x'], 2, 1)[:, ::2]))\n"
    )
    printed(run(code, moved, tmp_path / "in.npz", tmp_path / "out.npz"))
    got, x, u = np.load(tmp_path / "out.npz"), water_points["x"], water_points["output_gradients"]
    expected = dict(
        zip("yjzv", (*water_library.value_and_jacobian(x), *water_library.value_and_vjp(x, u)), strict=True)
    )
    expected |= {"value": water_library.value(x), "jacobian": expected["j"], "vjp": expected["v"]}
    expected |= {"one": water_library.jacobian(x[0]), "grid": water_library.jacobian(x[:6].reshape(2, 3, 2))}
    expected |= {"none": np.empty((0, 2, 2)), "wide": expected["value"]}
    assert set(got) == set(expected)
    for name, array in expected.items():
        assert got[name].shape == array.shape, name
        assert np.array_equal(got[name], array), name


def test_several_inputs_outputs_and_dtypes(pair_library, tmp_path):
    p = pair.points(20)
    np.savez(tmp_path / "in.npz", **p)
    code = (
        "import pair; p = np.load(sys.argv[1])\n"
        "values, blocks = pair.value_and_jacobian(p['a'], b=p['b'])\n"
        "gradients = pair.vjp(p['a'], p['b'], p['output_gradients_u'], p['output_gradients_w'])\n"
        "np.savez(sys.argv[2], **values, **blocks, **gradients)\n"
    )
    printed(run(code, pair_library.path, tmp_path / "in.npz", tmp_path / "out.npz"))
    got = np.load(tmp_path / "out.npz")
    assert set(got) == {*pair.OUTPUTS["jacobian"], *pair.OUTPUTS["vjp"]}
    values, blocks = pair_library.value_and_jacobian(p["a"], p["b"])
    gradients = pair_library.vjp(p["a"], p["b"], p["output_gradients_u"], p["output_gradients_w"])
    for name, array in {**values, **blocks, **gradients}.items():
        assert got[name].dtype == array.dtype, name
        assert np.array_equal(got[name], array), name


WAYS = """
import eos, pickle
print(eos._binding)
x = np.array([800.0, 100.0])
results = [f(p) for f in (eos.value, eos.jacobian, eos.value_and_jacobian) for p in (x, x[None], x.tolist())]
results.append(eos.vjp(x, output_gradients=x))
arrays = [a for result in results for a in (result if type(result) is tuple else (result,))]
print([(a.shape, a.dtype.str, a.tobytes().hex()) for a in arrays])
print(pickle.loads(pickle.dumps(eos.value))(x).tobytes().hex())
"""


def test_the_extension_and_ctypes_are_the_same(moved, tmp_path):
    binding, *results = printed(run(WAYS, moved)).splitlines()
    assert binding == "extension"
    bare = shutil.copytree(moved, tmp_path / "bare")
    (bare / EXTENSION).unlink()
    assert printed(run(WAYS, bare)).splitlines() == ["ctypes", *results]
    (bare / EXTENSION).write_bytes(b"no library")
    assert printed(run(WAYS, bare)).splitlines() == ["ctypes", *results]


def test_the_extension_takes_no_more_arguments_than_ctypes(moved):
    for call in ("eos.value([800.0, 100.0], out=None)", "eos.value([800.0, 100.0], threads=1)"):
        assert "TypeError" in run(f"import eos\n{call}", moved).stderr


def test_names_and_shapes_are_told(moved):
    code = (
        "import eos; print(json.dumps([eos.__all__, eos.value_and_vjp.__doc__, [n for n in dir(eos) if n[0] != '_']]))"
    )
    names, text, public = json.loads(printed(run(code, moved)))
    assert names == public == ["jacobian", "value", "value_and_jacobian", "value_and_vjp", "vjp"]
    assert "x: float64 [..., 2]; output_gradients: float64 [..., 2]" in text
    assert "returns (y: float64 [..., 2], vjp: float64 [..., 2])" in text


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("eos.value(np.ones((3, 5)))", ("ValueError", "x must be shaped [...] + [2]", "[3, 5]")),
        ("eos.value(1.0)", ("ValueError", "[]")),
        ("eos.value([800, 100])", ("ValueError", "x must hold floating numbers", "int64")),
        (
            "eos.vjp(np.ones((3, 2)), np.ones((4, 2)))",
            ("ValueError", "output_gradients has other leading axes", "(4,)"),
        ),
        ("eos.value([100.0, 1.0])", ("RuntimeWarning", "eos: an input lies outside its range (status 2)")),
        ("eos.value()", ("TypeError", "'x'")),
    ],
)
def test_wrong_arguments_are_told(moved, call, words):
    done = run(f"import eos\n{call}", moved)
    assert done.returncode == 1
    assert all(word in done.stderr.splitlines()[-1] for word in words), done.stderr


def test_a_file_that_was_taken_out_of_its_folder_says_so(moved, tmp_path):
    (tmp_path / "python").mkdir()
    shutil.copy(moved / "python" / "eos.py", tmp_path / "python")
    done = run("import eos", tmp_path)
    assert "ImportError: the library" in done.stderr
    assert "keep its folder together" in done.stderr


def test_threads_have_a_workspace_each(moved):
    code = (
        "import eos, threading\n"
        "x = np.random.default_rng(0).uniform([660, 1], [1100, 500], (64, 2)); expected = eos.jacobian(x); same = []\n"
        "def work(): same.extend(np.array_equal(eos.jacobian(x), expected) for _ in range(100))\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
        "print(len(same), all(same))\n"
    )
    assert printed(run(code, moved)) == "400 True"


def test_a_models_name_stays_in_the_docstring():
    name = 'a"""\n1 / 0\\ größe'
    (text,) = write_python_module(pair.metadata() | {"model": name}).values()
    (first, *_) = ast.parse(text).body
    assert name in ast.literal_eval(first.value)


@pytest.fixture(scope="module")
def place(root, water_library, tmp_path_factory):
    """A folder as the docs take it."""
    folder = tmp_path_factory.mktemp("place")
    for name in ("examples", "saved_models"):
        (folder / name).symlink_to(root / name)
    shutil.copytree(water_library.path, folder / "build" / "eos")
    return folder


def test_the_example_runs(place, water_library):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command = [sys.executable, "-c", "import runpy; runpy.run_path('examples/clients/point.py')"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    y, jacobian = water_library.value_and_jacobian([800.0, 100.0])
    numbers = [float(word) for word in printed(done).split()[1::2]]
    np.testing.assert_allclose(numbers, [*y, *jacobian[0]], rtol=1e-6)


def test_the_docs_code_runs(root, place, monkeypatch):
    text = (root / "docs" / "native.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "load_native" in block)
    monkeypatch.chdir(place)
    names: dict[str, object] = {}
    exec(compile(code, "native.md", "exec"), names)
    np.testing.assert_array_equal(names["block"], names["jacobian"])
    assert f"python {next((place / 'examples').glob('scipy_*')).relative_to(place)} build/eos" in text
