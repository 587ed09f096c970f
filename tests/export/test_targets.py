"""Several targets in one library: each gives the same numbers, the best is taken, and none is refused."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import models
import numpy as np
import pytest

import tfgradkit as tgk
from tfgradkit.comparison import relative_error
from tfgradkit.export.native.compile.frozen_graph import freeze, pad_products
from tfgradkit.export.native.compile.targets import X86_64, choose_targets
from tfgradkit.export.native.compile.tile_size import _choose, candidates
from tfgradkit.export.native.compile.toolchain import compile_c, find_toolchain, link_shared
from tfgradkit.graph.flops import product_flops

BEST = choose_targets(("host",))[-1]


def in_a_process(folder: Path, target: str, call: str) -> subprocess.CompletedProcess[str]:
    """Loads a library where its environment variable asks for a target, and prints the value of ``call``."""
    code = (
        "import sys, numpy as np; from tfgradkit.native import load_native\n"
        "library = load_native(sys.argv[1]); x = np.load(sys.argv[2])\n"
        f"print({call})"
    )
    name = json.loads(next(folder.glob("share/*/metadata.json")).read_text())["name"]
    points = folder.parent / "points.npy"
    np.save(points, np.random.default_rng(4).standard_normal((70, 6)).astype(np.float32))
    environment = {**os.environ, f"{name.upper()}_TARGET": target}
    command = [sys.executable, "-c", code, str(folder), str(points)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_host_is_all_that_pays_here():
    targets = choose_targets(("host",))
    assert [t.level for t in targets] == sorted(t.level for t in targets)
    assert "x86-64-v2" not in [t.name for t in targets]
    assert targets == choose_targets(("host", targets[0].name))


def test_the_order_and_number_of_targets_asked_for_do_not_matter():
    names = [t.name for t in X86_64 if t.level <= max(2, BEST.level)]
    if BEST.level < 2:
        pytest.skip("this machine runs one target only")
    assert choose_targets(names[::-1] + names) == choose_targets(names)


@pytest.mark.parametrize("target", choose_targets(("host",)), ids=lambda t: t.name)
def test_each_target_computes_the_model(mlp_library, target):
    model, library = mlp_library
    call = "library._library.mlp_target.__call__() and library.verify()"
    done = in_a_process(library.path, target.name, call)
    assert done.returncode == 0, done.stderr
    saved = library.path.parent / "result.npy"
    done = in_a_process(library.path, target.name, f"np.save({str(saved)!r}, library.jacobian(x))")
    assert done.returncode == 0, done.stderr
    x = np.load(library.path.parent / "points.npy")
    assert relative_error(np.load(saved), tgk.jacobian(model)(x).numpy()) < 5e-6


@pytest.mark.parametrize("target", choose_targets(("host",)), ids=lambda t: t.name)
def test_the_library_says_which_target_runs(mlp_library, target):
    code = (
        "import ctypes, sys; f = ctypes.CDLL(sys.argv[1]).mlp_target; f.restype = ctypes.c_char_p; print(f().decode())"
    )
    file = mlp_library[1].path / "lib" / "libmlp.so"
    for asked, told in ((target.name, target.name), ("", BEST.name), ("8086", "none")):
        environment = {**os.environ, "MLP_TARGET": asked}
        done = subprocess.run([sys.executable, "-c", code, str(file)], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == told


def test_a_target_that_the_library_lacks_is_refused_on_load(mlp_library):
    done = in_a_process(mlp_library[1].path, "x86-64-v2", "library.value(x)")
    assert "LibraryError" in done.stderr
    assert "can't run on this processor" in done.stderr
    assert "x86-64-v2" in done.stderr


@pytest.mark.parametrize(
    ("level", "told"), [(0, "none"), (1, "x86-64"), (2, "x86-64"), (3, "x86-64-v3"), (4, BEST.name)], ids=str
)
def test_the_best_target_is_taken_that_the_processor_has(mlp_library, tmp_path, level, told):
    """The driver rebuilt with another answer from the processor."""
    if BEST.level < 3:
        pytest.skip("this machine can't make a library for x86-64-v3")
    library = with_processor(mlp_library[1].path, tmp_path, level)
    library.mlp_target.restype = ctypes.c_char_p
    library.mlp_workspace_size.restype = ctypes.c_size_t
    # The baseline needs nothing at all.
    assert library.mlp_target().decode() == ("x86-64" if told == "none" else told)


def with_processor(folder: Path, work: Path, level: int) -> ctypes.CDLL:
    """The library ``folder`` on a processor of that level, as far as it can tell."""
    name = next(folder.glob("share/*")).name
    source = shutil.copytree(folder / "src", work / "src")
    (source / "processor.h").write_text(f"static int processor_level(void) {{ return {level}; }}\n")
    tools = find_toolchain()
    objects = [work / f"{stem}.o" for stem in (name, "record", "constants")]
    for output in objects:
        compile_c(tools, source / f"{output.stem}.c", folder / "include", output)
    link_shared(tools, [*objects, *sorted(source.glob("*.o"))], work / f"lib{name}.so", name, libm=True)
    return ctypes.CDLL(str(work / f"lib{name}.so"))


@pytest.fixture(scope="module")
def one_level(tmp_path_factory):
    """A library for the best target here alone."""
    model = models.build(models.mlp(), "float32")
    folder = tmp_path_factory.mktemp("one") / "one"
    return tgk.export_native(model, folder, "one", ("jacobian",), targets=(BEST.name,), tile=16)


def test_a_library_of_one_level(one_level):
    assert [t["name"] for t in one_level.metadata["targets"]] == [BEST.name]
    assert (one_level.path / "lib" / "libone.so").stat().st_size <= 250_000
    assert [f["tile_points"] for f in one_level.metadata["functions"]] == [{BEST.name: 16}] * 2
    # Two hidden layers of 64, forward over six directions: facts of the model, counted by hand.
    value = 2 * (6 * 64 + 64 * 64 + 64 * 6)
    assert [f["flops"] for f in one_level.metadata["functions"]] == [value, value + 6 * 2 * (64 * 64 + 64 * 6)]


def test_a_processor_without_the_only_level_is_refused_not_crashed(one_level, tmp_path):
    if BEST.level == 0:
        pytest.skip("the baseline runs everywhere")
    library = with_processor(one_level.path, tmp_path, BEST.level - 1)
    library.one_workspace_size.restype = ctypes.c_size_t
    memory = np.zeros(library.one_workspace_size() + 64, np.uint8)
    x, y = np.zeros((3, 6), np.float32), np.full((3, 6), 7, np.float32)
    library.one_value.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
    workspace = memory.ctypes.data + -memory.ctypes.data % 64
    assert library.one_value(workspace, 3, x.ctypes.data, y.ctypes.data) == -5
    assert np.all(y == 7)
    assert library.one_value(workspace, 0, None, None) == 0
    assert library.one_value(workspace, -1, None, None) == -2
    assert library.one_value(None, 3, x.ctypes.data, y.ctypes.data) == -1
    assert library.one_selftest(None) == -5
    library.one_status_text.restype = ctypes.c_char_p
    assert b"processor" in library.one_status_text(-5)


def test_the_processor_is_asked_as_the_system_says(tmp_path):
    """processor.h against /proc/cpuinfo."""
    if not BEST.name.startswith("x86-64"):
        pytest.skip("the levels are those of x86-64")
    header = Path(tgk.__file__).parent / "export" / "templates"
    source = tmp_path / "level.c"
    function = '__attribute__((visibility("default"))) int probe_level(void)'
    source.write_text(f'#include "processor.h"\n{function};\n{function} {{ return processor_level(); }}\n')
    tools = find_toolchain()
    compile_c(tools, source, header, tmp_path / "level.o")
    link_shared(tools, [tmp_path / "level.o"], tmp_path / "liblevel.so", "probe", libm=False)
    assert ctypes.CDLL(str(tmp_path / "liblevel.so")).probe_level() == max(1, BEST.level)


def test_another_tile_is_taken_only_where_it_is_clearly_faster():
    assert _choose([16, 64], [1.0, 0.9]) == 16
    assert _choose([16, 64], [1.0, 0.5]) == 64
    assert _choose([16, 64], [1.0, 2.0]) == 16


def test_tiles_of_large_arrays_are_small():
    from tfgradkit.export.functions.interface import Port, make_entry

    small = make_entry("jacobian", [Port("x", (2,), "float32")], [Port("y", (2,), "float32")])
    large = make_entry("jacobian", [Port("x", (1000,), "float32")], [Port("y", (100,), "float32")])
    assert candidates(small, flops=1000) == (8, 64)
    assert candidates(small, flops=100_000) == (8,)
    assert candidates(large, flops=1000) == (2,)


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
@pytest.mark.parametrize("columns", [1, 3, 6, 8, 70])
@pytest.mark.parametrize("lead", [(4,), (2, 4)], ids=["a matrix", "a batch of matrices and one weight"])
def test_padded_weights_compute_the_same(vector_bytes, columns, lead):
    import tensorflow as tf

    weight = np.random.default_rng(0).standard_normal((5, columns))

    def f(x):
        return {"y": tf.matmul(x, tf.constant(weight))}

    frozen = freeze(f, {"x": tf.TensorSpec([*lead, 5], tf.float64, name="x")})
    padded = pad_products(frozen, vector_bytes)
    x = np.random.default_rng(1).standard_normal((*lead, 5))
    np.testing.assert_allclose(run(padded, x), x @ weight, rtol=1e-13)
    assert product_flops(frozen.graph, frozen.inputs.values()) == 2 * np.prod(lead) * 5 * columns
    lanes = vector_bytes // 8
    wide = [] if columns in (1, 70) or columns % lanes == 0 else [-(-columns // lanes) * lanes]
    sizes = [tf.make_ndarray(n.attr["value"].tensor).shape[-1] for n in padded.graph.node if n.name.endswith("/weight")]
    assert sizes == wide


def run(frozen, x):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen.graph, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run(f"{frozen.outputs['y']}:0", {f"{frozen.inputs['x']}:0": x})
