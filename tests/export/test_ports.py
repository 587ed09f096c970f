"""Functions of many arrays in both dtypes, made by hand, through the whole engine and its self-test."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfgradkit.comparison import SMALL
from tfgradkit.export.functions.interface import Entry, Port
from tfgradkit.export.native.compile.compile import read_program
from tfgradkit.export.native.compile.frozen_graph import canonicalize, freeze
from tfgradkit.export.native.compile.targets import choose_targets
from tfgradkit.export.native.compile.tfcompile import compile_jobs, prepare
from tfgradkit.export.native.compile.toolchain import compile_c, find_toolchain, link_shared
from tfgradkit.export.native.library.c_sources import CompiledFunction, Pair, Sources, write_sources

TILE = 5
INPUTS = (
    Port("a", (2,), "float64"),
    Port("b", (3, 2), "float32"),
    Port("scale", (), "float64"),
    Port("unused", (4,), "float32"),
)
OUTPUTS = (
    Port("total", (), "float64"),
    Port("rows", (3,), "float32"),
    Port("matrix", (2, 2, 3), "float64"),
    Port("same_a", (2,), "float64"),
    Port("same_a_again", (2,), "float64"),
    Port("fixed", (2,), "float32"),
    Port("zero", (3, 2), "float32"),
)
WEIGHTS = np.random.default_rng(8).standard_normal((3, 3))


def function(a, b, scale, unused):
    wide = tf.cast(b, tf.float64)
    matrix = tf.einsum("ni,nkj->nijk", a, tf.sin(wide) * scale[:, None, None])
    return {
        "total": scale * tf.reduce_sum(a, 1),
        "rows": tf.matmul(tf.reduce_sum(b, 2), tf.constant(WEIGHTS, tf.float32)),
        "matrix": matrix,
        "same_a": a,
        "same_a_again": a,
        "fixed": tf.tile(tf.constant([[1.5, -2.0]]), [a.shape[0], 1]),
        "zero": tf.zeros_like(b),
    }


def by_numpy(a, b, scale, unused):
    matrix = np.einsum("ni,nkj->nijk", a, np.sin(b.astype(np.float64)) * scale[:, None, None])
    rows = b.astype(np.float64).sum(2) @ WEIGHTS
    fixed = np.broadcast_to([1.5, -2.0], (len(a), 2))
    return scale * a.sum(1), rows, matrix, a, a, fixed, np.zeros(b.shape)


def points(n, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.standard_normal((n, *p.shape)).astype(p.dtype) for p in INPUTS]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The function for the best target here, with six recorded points."""
    work = tmp_path_factory.mktemp("ports")
    target = choose_targets(("host",))[-1]
    jobs = []
    for n in (1, TILE):
        frozen = freeze(function, {p.name: tf.TensorSpec([n, *p.shape], p.dtype, name=p.name) for p in INPUTS})
        jobs.append(prepare(work, f"f_{n}", canonical(frozen), target))
    compile_jobs(work, jobs, lambda label: None)
    entry = Entry("value", INPUTS, OUTPUTS, ())
    one, tile = (read_program(work, job.name) for job in jobs)
    given = points(6)
    answers = [np.asarray(y, p.dtype) for y, p in zip(by_numpy(*given), OUTPUTS, strict=True)]
    vectors = {p.name: array for p, array in zip((*INPUTS, *OUTPUTS), (*given, *answers), strict=True)}
    sources = Sources(
        name="ports", version="", summary="by hand", functions=(CompiledFunction(entry, (Pair(one, tile, TILE),)),),
        targets=(target,), objects=("f_1.o", f"f_{TILE}.o"), vectors=vectors, tolerance=1e-5, small=SMALL["float32"],
        ranges={"scale": (np.array(-3.0), np.array(3.0))}, metadata="{}", needs_libm=True,
    )  # fmt: skip
    for path, text in write_sources(sources).items():
        (work / path).parent.mkdir(exist_ok=True)
        (work / path).write_text(text)
    return load(work)


def canonical(frozen):
    return type(frozen)(canonicalize(frozen.graph), frozen.inputs, frozen.outputs, frozen.specs)


def load(work):
    tools = find_toolchain()
    objects = [work / f"{stem}.o" for stem in ("ports", "constants", "record")]
    for output in objects:
        compile_c(tools, work / "src" / f"{output.stem}.c", work / "include", output)
    link_shared(tools, [*objects, work / "f_1.o", work / f"f_{TILE}.o"], work / "libports.so", "ports", libm=True)
    library = ctypes.CDLL(str(work / "libports.so"))
    library.ports_workspace_size.restype = ctypes.c_size_t
    header = (work / "include" / "ports.h").read_text()
    return SimpleNamespace(c=library, header=header, folder=work)


def call(library, n, given, skipped=()):
    memory = np.zeros(library.ports_workspace_size() + 64, np.uint8)
    results = [np.full((n, *p.shape), 7, p.dtype) for p in OUTPUTS]
    function = library.ports_value
    function.argtypes = [ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * (len(INPUTS) + len(OUTPUTS))]
    pointers = [None if p.name in skipped else r.ctypes.data for p, r in zip(OUTPUTS, results, strict=True)]
    workspace = memory.ctypes.data + -memory.ctypes.data % 64
    return function(workspace, n, *(g.ctypes.data for g in given), *pointers), results


@pytest.mark.parametrize("n", [1, 2, TILE, 3 * TILE + 2, 100])
def test_every_array_has_its_own_dtype_and_shape(library, n):
    given = points(n, seed=n)
    status, results = call(library.c, n, given)
    outside = bool(np.any(np.abs(given[2]) > 3))
    assert status == 2 * outside
    for port, got, expected in zip(OUTPUTS, results, by_numpy(*given), strict=True):
        limit = 1e-6 if port.dtype == "float32" else 1e-14
        np.testing.assert_allclose(got, expected, rtol=limit, atol=10 * limit, err_msg=port.name)


@pytest.mark.parametrize("skipped", [p.name for p in OUTPUTS])
def test_each_output_may_be_left_out(library, skipped):
    given = points(TILE + 2)
    status, results = call(library.c, TILE + 2, given, {skipped})
    assert status == 0
    for port, got, expected in zip(OUTPUTS, results, by_numpy(*given), strict=True):
        np.testing.assert_allclose(got, 7 if port.name == skipped else expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("missing", range(len(INPUTS)), ids=[p.name for p in INPUTS])
def test_no_input_may_be_null_whether_it_is_used_or_not(library, missing):
    given = points(3)
    function = library.c.ports_value
    pointers = [None if i == missing else g.ctypes.data for i, g in enumerate(given)]
    memory = np.zeros(library.c.ports_workspace_size() + 64, np.uint8)
    assert function(memory.ctypes.data + -memory.ctypes.data % 64, 3, *pointers, *[None] * len(OUTPUTS)) == -1


@pytest.mark.parametrize("port", [p.name for p in OUTPUTS if p.name in ("total", "rows", "matrix", "same_a")])
def test_a_result_that_is_not_finite_is_seen_in_each_array(library, port):
    given = points(4)
    given[{"rows": 1, "matrix": 1, "total": 2, "same_a": 0}[port]][2] = np.inf
    others = {p.name for p in OUTPUTS} - {port}
    assert call(library.c, 4, given, others)[0] & 1 == 1
    assert call(library.c, 4, given, {p.name for p in OUTPUTS})[0] & 1 == 0


def test_selftest_judges_each_array_in_its_dtype(library):
    error = ctypes.c_double(-1)
    assert library.c.ports_selftest(ctypes.byref(error)) == 0
    assert 0 <= error.value < 1e-6
    for port in (OUTPUTS[1], OUTPUTS[2], OUTPUTS[-1]):
        damaged = spoiled(library.folder, port)
        assert damaged.c.ports_selftest(ctypes.byref(error)) == 1, port.name
        assert error.value > 1e-3


def spoiled(folder, port):
    """The library with a recorded answer of one array changed: the last number of its last point."""
    copy = folder.parent / f"spoiled_{port.name}"
    (copy / "src").mkdir(parents=True)
    (copy / "include").mkdir()
    for path in (*folder.glob("src/*.[ch]"), *folder.glob("include/*.h"), *folder.glob("f_*.o")):
        (copy / path.relative_to(folder)).write_bytes(path.read_bytes())
    record = copy / "src" / "record.c"
    before, after = record.read_text().split(f"ports_test_{port.name}[", 1)
    table, rest = after.split("};", 1)
    numbers = table.rstrip().rstrip(",").rsplit(",", 1)[0]
    last = "1e3f" if port.dtype == "float32" else "1e3"
    record.write_text(f"{before}ports_test_{port.name}[{numbers}, {last}}};{rest}")
    return load(copy)


def test_the_header_declares_each_pointer(library):
    line = next(text for text in library.header.splitlines() if "ports_value(" in text)
    assert "const double *a, const float *b, const double *scale, const float *unused" in line
    assert "double *total, float *rows, double *matrix, double *same_a, double *same_a_again, float *fixed" in line
    assert "double matrix[n][2][2][3]" in library.header
    assert "double total[n]\n" in library.header
