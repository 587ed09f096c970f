"""The C library called as C calls it: counts, null pointers, alignment, statuses, threads, symbols."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from tfgradkit.comparison import relative_error
from tfgradkit.export.native.compile.toolchain import Toolchain, archive, compile_c, find_toolchain, link_shared
from tfgradkit.native import load_native

POINTER = ctypes.c_void_p


class Raw:
    """The functions of the water library over plain addresses."""

    def __init__(self, library):
        self.library = ctypes.CDLL(str(library.path / library.metadata["files"]["shared"]))
        self.library.eos_workspace_size.restype = ctypes.c_size_t
        self.size = self.library.eos_workspace_size()
        for kind, pointers in (("value", 2), ("jacobian", 3), ("vjp", 4)):
            function = getattr(self.library, f"eos_{kind}")
            function.argtypes = [POINTER, ctypes.c_int64, *[POINTER] * pointers]
            setattr(self, kind, function)
        self.workspace, self._memory = aligned(self.size)

    def text(self, name):
        function = getattr(self.library, name)
        function.restype = ctypes.c_char_p
        return function


def aligned(size, offset=0):
    """An address ``offset`` bytes after a multiple of 64, and the memory that has to be kept."""
    memory = ctypes.create_string_buffer(size + 128)
    start = ctypes.addressof(memory)
    return start + -start % 64 + offset, memory


def at(array):
    return array.ctypes.data


@pytest.fixture(scope="module")
def raw(water_library):
    return Raw(water_library)


@pytest.fixture(scope="module")
def points(water_points):
    return np.resize(water_points["x"], (128, 2))


@pytest.fixture(scope="module")
def expected(water_library, points):
    """Every point alone."""
    results = [water_library.value_and_jacobian(x) for x in points]
    return np.stack([y for y, _ in results]), np.stack([j for _, j in results])


@pytest.mark.parametrize("n", [1, 2, 23, 24, 25, 31, 32, 33, 63, 64, 65, 100])
def test_any_count_gives_every_point_its_result(raw, water_library, points, expected, n):
    guard = 7.25
    y, jacobian = np.full((n + 1, 2), guard), np.full((n + 1, 2, 2), guard)
    assert raw.jacobian(raw.workspace, n, at(points), at(y), at(jacobian)) == 0
    for got, alone in zip((y, jacobian), expected, strict=True):
        # Relative to the magnitudes at all points, as the metadata states it.
        assert relative_error(np.concatenate([got[:n], alone[n:]]), alone) <= water_library.metadata["place_dependence"]
    assert np.all(y[n] == guard), "a value behind the last point was overwritten"
    assert np.all(jacobian[n] == guard), "a value behind the last point was overwritten"


def test_place_dependence_is_a_few_roundings(water_library):
    assert water_library.metadata["place_dependence"] < 1e-14


@pytest.mark.parametrize("n", [1, 33, 70])
@pytest.mark.parametrize("y_is_null", [True, False], ids=["without y", "with y"])
@pytest.mark.parametrize("jacobian_is_null", [True, False], ids=["without jacobian", "with jacobian"])
def test_null_outputs_are_not_written(raw, points, expected, n, y_is_null, jacobian_is_null):
    y, jacobian = np.zeros((n, 2)), np.zeros((n, 2, 2))
    status = raw.jacobian(
        raw.workspace, n, at(points), None if y_is_null else at(y), None if jacobian_is_null else at(jacobian)
    )
    assert status == 0
    assert not np.any(y) if y_is_null else relative_error(y, expected[0][:n]) < 1e-14
    assert not np.any(jacobian) if jacobian_is_null else relative_error(jacobian, expected[1][:n]) < 1e-14


@pytest.mark.parametrize("offset", [1, 3, 4, 8, 16, 32, 63])
@pytest.mark.parametrize("n", [1, 32, 45])
def test_data_of_any_alignment(raw, points, expected, n, offset):
    arrays = [aligned(8 * n * count, offset) for count in (2, 2, 4)]
    ctypes.memmove(arrays[0][0], at(points), 16 * n)
    assert raw.jacobian(raw.workspace, n, *(address for address, _ in arrays)) == 0
    y = np.frombuffer(ctypes.string_at(arrays[1][0], 16 * n)).reshape(n, 2)
    jacobian = np.frombuffer(ctypes.string_at(arrays[2][0], 32 * n)).reshape(n, 2, 2)
    assert relative_error(y, expected[0][:n]) < 1e-14
    assert relative_error(jacobian, expected[1][:n]) < 1e-14


def test_workspace_is_not_written_beyond_its_size(raw, points):
    address, memory = aligned(raw.size + 64)
    ctypes.memset(address, 0x5A, raw.size + 64)
    y, jacobian = np.empty((40, 2)), np.empty((40, 2, 2))
    assert raw.jacobian(address, 40, at(points), at(y), at(jacobian)) == 0
    assert ctypes.string_at(address + raw.size, 64) == b"\x5a" * 64
    del memory


def test_no_points_is_success_with_any_pointers(raw):
    assert raw.jacobian(None, 0, None, None, None) == 0
    assert raw.jacobian(raw.workspace, 0, 1, 1, 1) == 0


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (-1, {"x": None}),
        (-1, {"workspace": None}),
        (-1, {"workspace": 8}),
        (-2, {"n": -1}),
        (-2, {"n": -(2**62)}),
    ],
    ids=["null input", "null workspace", "misaligned workspace", "negative count", "very negative count"],
)
def test_refused_calls_write_nothing(raw, points, status, change):
    y, jacobian = np.full((3, 2), 7.25), np.full((3, 2, 2), 7.25)
    workspace = raw.workspace + 8 if change.get("workspace") == 8 else change.get("workspace", raw.workspace)
    got = raw.jacobian(workspace, change.get("n", 3), change.get("x", at(points)), at(y), at(jacobian))
    assert got == status
    assert np.all(y == 7.25)
    assert np.all(jacobian == 7.25)


def test_vjp_needs_its_output_gradients(raw, points):
    y, vjp = np.empty((3, 2)), np.empty((3, 2))
    assert raw.vjp(raw.workspace, 3, at(points), None, at(y), at(vjp)) == -1


@pytest.mark.parametrize("n", [1, 32, 50])
@pytest.mark.parametrize(
    ("bad", "status"),
    [(np.nan, 3), (np.inf, 2), (1e6, 2)],
    ids=["NaN is not finite and in no range", "a saturated network stays finite", "far outside"],
)
def test_status_bits_and_the_other_points_are_right(raw, points, expected, n, bad, status):
    x = points[:n].copy()
    x[n // 2, 0] = bad
    y, jacobian = np.empty((n, 2)), np.empty((n, 2, 2))
    assert raw.jacobian(raw.workspace, n, at(x), at(y), at(jacobian)) == status
    others = np.arange(n) != n // 2
    assert relative_error(y[others], expected[0][:n][others]) < 1e-14
    assert relative_error(jacobian[others], expected[1][:n][others]) < 1e-14


def test_range_is_inclusive(raw):
    x = np.array([[660.0, 1.0], [1100.0, 500.0]])
    y = np.empty((2, 2))
    assert raw.value(raw.workspace, 2, at(x), at(y)) == 0
    x[1, 1] = np.nextafter(500.0, 501.0)
    assert raw.value(raw.workspace, 2, at(x), at(y)) == 2


@pytest.mark.parametrize("status", [0, 1, 2, 3, -1, -2, -3, -4, -5, 99])
def test_every_status_has_a_text(raw, status):
    assert raw.text("eos_status_text")(status).decode()


def test_metadata_in_the_library_is_the_file(raw, water_library):
    text = raw.text("eos_metadata")().decode()
    assert json.loads(text) == water_library.metadata
    assert text == (water_library.path / "share" / "eos" / "metadata.json").read_text().rstrip("\n")
    assert raw.library.eos_abi_version() == water_library.metadata["abi_version"]


def test_selftest_reports_its_error(raw, water_library):
    error = ctypes.c_double(-1)
    assert raw.library.eos_selftest(ctypes.byref(error)) == 0
    assert 0 <= error.value <= water_library.metadata["tolerance"]
    assert raw.library.eos_selftest(None) == 0


def test_threads_with_a_workspace_each(raw, points, expected):
    failures = []

    def work():
        workspace, memory = aligned(raw.size)
        y, jacobian = np.empty((65, 2)), np.empty((65, 2, 2))
        for _ in range(200):
            raw.jacobian(workspace, 65, at(points), at(y), at(jacobian))
            if relative_error(jacobian, expected[1][:65]) > 1e-14:
                failures.append(1)
        del memory

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def symbols(file, *flags):
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    lines = subprocess.run(["nm", *flags, str(file)], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[-2:] for line in lines if len(line.split()) >= 2]


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_symbols(water_library, kind):
    """Only eos_* comes out, and only libc and libm go in: no TensorFlow, absl, Eigen or C++."""
    file = water_library.path / water_library.metadata["files"][kind]
    found = symbols(file, "-D") if kind == "shared" else symbols(file, "-g")
    functions = {"workspace_size", "status_text", "metadata", "abi_version", "selftest", "target"}
    public = {"value", "jacobian", "vjp", *functions}
    assert {name for letter, name in found if letter not in "Uw"} == {f"eos_{name}" for name in public}
    needed = {name.split("@")[0] for letter, name in found if letter == "U"}
    assert needed <= {"malloc", "free", "getenv", "strcmp", "memcpy", "memset", "memmove", "exp", "log", "tanh"}
    everything = [name.lower() for _, name in symbols(file, "-a")] if kind == "static" else []
    assert [n for n in everything if any(w in n for w in ("absl", "eigen", "_znst", "_znkst", "tensorflow"))] == []


def test_shared_library_needs_libc_alone(water_library):
    if shutil.which("ldd") is None:
        pytest.skip("ldd is not installed")
    file = water_library.path / water_library.metadata["files"]["shared"]
    lines = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.split()[0].split("/")[-1].split(".")[0] for line in lines} <= {
        "linux-vdso",
        "libc",
        "libm",
        "ld-linux-x86-64",
        "ld-linux-aarch64",
    }


def test_sizes(water_library):
    """The water model with its Jacobian and VJP, for each target."""
    size = (water_library.path / water_library.metadata["files"]["shared"]).stat().st_size
    assert size <= 250_000 * len(water_library.metadata["targets"])


def test_weights_are_stored_once(water_library):
    source = (water_library.path / "src" / "constants.c").read_text()
    blocks = [block.split("{", 1)[1] for block in source.split("const uint64_t ")[1:]]
    assert len(blocks) == len(set(blocks))


def test_sources_rebuild_with_the_command_they_name(water_library, points, expected, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(water_library.path, folder)
    text = (folder / "src" / "eos.c").read_text()
    command = next(line.strip(" *") for line in text.splitlines() if line.strip(" *").startswith("cc "))
    words = [*find_toolchain().cc, *command.split()[1:], "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run(words, cwd=folder / "src", check=True, capture_output=True)
    rebuilt = ctypes.CDLL(str(folder / "src" / "libeos.so"))
    rebuilt.eos_value.argtypes = [POINTER, ctypes.c_int64, POINTER, POINTER]
    workspace, memory = aligned(rebuilt.eos_workspace_size())
    y = np.empty((50, 2))
    assert rebuilt.eos_value(workspace, 50, at(points), at(y)) == 0
    assert relative_error(y, expected[0][:50]) < 1e-14
    del memory


@pytest.mark.parametrize("language", ["c", "c++"])
def test_header_compiles_without_a_warning(water_library, language, tmp_path):
    compiler = shutil.which("g++" if language == "c++" else "gcc")
    if compiler is None:
        pytest.skip(f"no GNU compiler for {language}")
    standard = "c++11" if language == "c++" else "c99"
    source = tmp_path / "use.c"
    source.write_text(
        '#include "eos.h"\n#include "eos.h"\nint use(void);\nint use(void) { return eos_abi_version(); }\n'
    )
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x", language]
    done = subprocess.run(
        [compiler, *flags, f"-I{water_library.path / 'include'}", str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_folder_can_be_moved(water_library, points, expected, tmp_path):
    moved = tmp_path / "elsewhere with spaces"
    shutil.copytree(water_library.path, moved)
    assert relative_error(load_native(moved).value(points), expected[0]) < 1e-14
    text = "".join(p.read_text() for p in moved.rglob("*") if p.suffix in (".h", ".c", ".json"))
    assert str(water_library.path.parent) not in text


def test_the_wheels_compiler_builds_the_same_library(water_library, points, expected, tmp_path):
    """Where a machine has no C compiler, the ziglang wheel's is used."""
    pytest.importorskip("ziglang", reason="the ziglang wheel is not installed")
    zig = Toolchain((sys.executable, "-m", "ziglang", "cc"), (sys.executable, "-m", "ziglang", "ar"), None)
    source, objects = water_library.path / "src", [tmp_path / f"{stem}.o" for stem in ("eos", "record", "constants")]
    for output in objects:
        compile_c(zig, source / f"{output.stem}.c", water_library.path / "include", output)
    objects += sorted(source.glob("*.o"))
    link_shared(zig, objects, tmp_path / "libeos.so", "eos", libm=False)
    archive(zig, objects, tmp_path / "libeos.a", ["eos_value"])
    assert (tmp_path / "libeos.a").stat().st_size > 0
    built = ctypes.CDLL(str(tmp_path / "libeos.so"))
    built.eos_value.argtypes = [POINTER, ctypes.c_int64, POINTER, POINTER]
    workspace, memory = aligned(built.eos_workspace_size())
    y = np.empty((50, 2))
    assert built.eos_value(workspace, 50, at(points), at(y)) == 0
    assert relative_error(y, expected[0][:50]) < 1e-14
    del memory
