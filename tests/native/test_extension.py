"""Calls through the extension module: the same as through ctypes, and nothing is lost or kept."""

from __future__ import annotations

import gc
import inspect
import pickle
import shutil
import sys
import threading
import tracemalloc
import warnings
import weakref
from pathlib import Path

import numpy as np
import pair
import pytest

from tfgradkit.errors import ChecksumError, SignatureError
from tfgradkit.export.native.compile.toolchain import Toolchain, find_toolchain
from tfgradkit.export.native.library import python_extension
from tfgradkit.native import NativeLibrary, load_native
from tfgradkit.native.artifact import EXTENSION, write_checksums
from tfgradkit.native.calls import NativeCall

LEADS = [(), (1,), (5,), (2, 3), (1, 1, 2), (0,), (3, 0), (200,)]


def without_extension(folder: Path, copy: Path) -> NativeLibrary:
    """The library in a copy of its folder that lacks the extension."""
    shutil.copytree(folder, copy)
    (copy / EXTENSION).unlink()
    return load_native(copy)


@pytest.fixture(scope="module")
def water_ways(water_library, tmp_path_factory):
    return water_library, without_extension(water_library.path, tmp_path_factory.mktemp("ctypes") / "eos")


@pytest.fixture(scope="module")
def pair_ways(pair_library, tmp_path_factory):
    """The library of two inputs and outputs: called by the extension, and by ctypes."""
    folder = shutil.copytree(pair_library.path, tmp_path_factory.mktemp("extension") / "pair")
    (folder / EXTENSION).write_bytes(python_extension.python_extension(find_toolchain()).binary)
    write_checksums(folder)
    return load_native(folder), pair_library


@pytest.fixture
def copied(water_library, tmp_path) -> Path:
    """A copy of a library's folder that a test may damage."""
    return shutil.copytree(water_library.path, tmp_path / "library")


@pytest.fixture
def no_slow_way(monkeypatch):
    """What reaches the slow way fails."""

    def fail(*_, **__):
        raise AssertionError("the slow way")

    monkeypatch.setattr(NativeCall, "__call__", fail)


def flat(result):
    """Every array of a result, with its place."""
    if isinstance(result, dict):
        return [(name, array) for name, array in result.items()]
    if isinstance(result, tuple):
        return [((i, *name), array) for i, part in enumerate(result) for name, array in flat(part)]
    return [((), result)]


def assert_same(got, expected):
    """Form, dtypes, shapes and every bit."""
    assert type(got) is type(expected)
    got, expected = flat(got), flat(expected)
    assert [name for name, _ in got] == [name for name, _ in expected]
    for (_, a), (_, b) in zip(got, expected, strict=True):
        assert type(a) is np.ndarray
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        assert str(a.flags) == str(b.flags)


def outcome(call, library):
    """The result of a call, or its error and its warnings in words."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call(library)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
    return result, [(w.category, str(w.message), w.filename) for w in caught]


def test_the_binding_is_told(water_ways):
    direct, through_ctypes = water_ways
    assert (direct.binding, through_ctypes.binding) == ("extension", "ctypes")
    assert "extension" in repr(direct)
    assert "ctypes: there is no extension" in repr(through_ctypes)
    assert direct.metadata["python_extension"] == {"file": EXTENSION, "not_built": None}


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_one_input_to_the_last_bit(water_ways, water_points, lead):
    direct, through_ctypes = water_ways
    x, u = (np.resize(water_points[n], (*lead, 2)) for n in ("x", "output_gradients"))
    for call in (
        lambda lib: lib.value(x),
        lambda lib: lib.jacobian(x=x),
        lambda lib: lib.value_and_jacobian(x, threads=1),
        lambda lib: lib.vjp(x, u),
        lambda lib: lib.value_and_vjp(x, output_gradients=u, threads=None),
        lambda lib: lib.value(x, out=np.empty_like(x)),
        lambda lib: lib.value(x, out=(np.empty_like(x),)),
        lambda lib: lib.value(x, out=None),
        lambda lib: lib.value_and_jacobian(x, out=(np.empty_like(x), np.empty((*x.shape, 2)))),
        lambda lib: lib.value_and_jacobian(x, out=(None, np.empty((*x.shape, 2)))),
        lambda lib: lib.jacobian(x.tolist()) if x.size else lib.jacobian(x),
        lambda lib: lib.jacobian(x.astype(">f8")),
        lambda lib: lib.jacobian(np.asfortranarray(x)),
    ):
        assert_same(call(direct), call(through_ctypes))


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_several_inputs_and_outputs_to_the_last_bit(pair_ways, lead):
    direct, through_ctypes = pair_ways
    assert direct.binding == "extension"
    p = {name: np.resize(array, lead + array.shape[1:]) for name, array in pair.points(20).items()}
    a, b, u, w, s, t = (p[name] for name in (*pair.INPUTS["vjp"], "tangents_a", "tangents_b"))
    own = {"u": np.empty(lead, "f4"), "w": np.empty((*lead, 2))}
    for call in (
        lambda lib: lib.value(a, b),
        lambda lib: lib.value(b=b, a=a),
        lambda lib: lib.value(a, b, out=own),
        lambda lib: lib.jacobian(a, b=b),
        lambda lib: lib.value_and_jacobian(a, b),
        lambda lib: lib.vjp(a, b, u, w),
        lambda lib: lib.vjp(a, b, output_gradients=(u, w)),
        lambda lib: lib.value_and_jvp(a, b, tangents={"a": s, "b": t}),
        lambda lib: lib.jvp(a, b, s, t),
    ):
        assert_same(call(direct), call(through_ctypes))


@pytest.mark.usefixtures("no_slow_way")
def test_arrays_that_c_can_use_go_no_other_way(water_library, pair_ways, water_points):
    x, u = water_points["x"][0], water_points["output_gradients"][0]
    own, block = np.empty(2), np.empty((2, 2))
    locked = x.copy()
    locked.flags.writeable = False
    assert water_library.value(x).shape == water_library.value(locked).shape == (2,)
    assert water_library.value(x, out=own) is own
    result = water_library.value_and_jacobian(x=x, out=(own, block), threads=2)
    assert result[0] is own
    assert result[1] is block
    assert water_library.vjp(x, output_gradients=u).shape == (2,)
    assert water_library.jacobian(np.resize(x, (3, 4, 2))).shape == (3, 4, 2, 2)
    p = pair.points(20)
    assert set(pair_ways[0].jacobian(p["a"][:10], b=p["b"][:10])) == set(pair.OUTPUTS["jacobian"][2:])
    for other in (x.tolist(), x.astype("f4"), np.resize(x, (10_000, 2)), x[::-1], x[:0], x.view(np.recarray)):
        with pytest.raises(AssertionError, match="slow way"):
            water_library.value(other)


def unaligned(x):
    """The same numbers, one byte behind an aligned address."""
    memory = np.empty(x.nbytes + 1, np.uint8)[1:]
    memory[:] = x.reshape(-1).view(np.uint8)
    return memory.view(x.dtype).reshape(x.shape)


X = np.array([[700.0, 10.0], [800.0, 100.0], [900.0, 200.0]])
LOCKED = np.empty((3, 2))
LOCKED.flags.writeable = False
BOTH = np.resize(X, (4, 2))
CALLS = {
    "no argument": lambda lib: lib.value(),
    "None": lambda lib: lib.value(None),
    "too many": lambda lib: lib.value(X, X),
    "twice": lambda lib: lib.value(X, x=X),
    "another name": lambda lib: lib.value(X, z=X),
    "another shape": lambda lib: lib.value(np.ones((3, 5))),
    "a scalar": lambda lib: lib.value(1.0),
    "no axis": lambda lib: lib.value(np.float64(1.0)),
    "integers": lambda lib: lib.value(np.ones((3, 2), int)),
    "objects": lambda lib: lib.value(X.astype(object)),
    "another count": lambda lib: lib.vjp(X, X[:2]),
    "no seed": lambda lib: lib.vjp(X),
    "a seed too many": lambda lib: lib.vjp(X, X, output_gradients=X),
    "a seed by a wrong name": lambda lib: lib.vjp(X, tangents=X),
    "out of another dtype": lambda lib: lib.value(X, out=np.empty((3, 2), "f4")),
    "out of another shape": lambda lib: lib.value(X, out=np.empty((2, 3))),
    "a list as out": lambda lib: lib.value(X, out=[[0.0, 0.0]]),
    "out without an entry": lambda lib: lib.value_and_jacobian(X, out=(np.empty((3, 2)),)),
    "a read-only out": lambda lib: lib.value(X, out=LOCKED),
    "out over the input": lambda lib: lib.value(BOTH[:3], out=BOTH[1:]),
    "out twice": lambda lib: lib.value_and_vjp(X, X, out=(BOTH[:3], BOTH[1:])),
    "no threads": lambda lib: lib.value(X, threads=0),
    "threads in words": lambda lib: lib.value(X, threads="two"),
    "half a thread": lambda lib: lib.value(X, threads=1.5),
    "very many threads": lambda lib: lib.value(X, threads=2**80),
    "no such kind": lambda lib: lib.hessian(X),
    "outside the range": lambda lib: lib.value(np.array([100.0, 1.0])),
    "not finite": lambda lib: lib.value_and_jacobian(np.array([np.nan, 1.0])),
    "not aligned": lambda lib: lib.value_and_jacobian(unaligned(X)),
    "out not aligned": lambda lib: lib.value(X, out=unaligned(np.empty((3, 2)))),
    "a matrix": lambda lib: lib.value(np.asmatrix(X)),
    "not contiguous": lambda lib: lib.value(np.repeat(X, 2, 1)[:, ::2]),
    "backwards": lambda lib: lib.value(X[::-1]),
    "into columns": lambda lib: lib.value(X, out=np.empty((3, 4))[:, ::2]),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_the_extension_cannot_use_ends_alike(water_ways, name):
    (got, warned), (expected, warned_by_ctypes) = (outcome(CALLS[name], library) for library in water_ways)
    assert warned == warned_by_ctypes
    if isinstance(expected, str):
        assert got == expected
    else:
        assert_same(got, expected)


@pytest.mark.filterwarnings("error")
def test_a_warning_that_is_an_error_is_raised_at_the_users_line(water_library):
    x = np.array([100.0, 1.0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        water_library.value(x)
    assert caught[0].filename == __file__
    with pytest.raises(RuntimeWarning, match="outside its range"):
        water_library.value(x)


@pytest.mark.filterwarnings("error")
def test_nothing_is_kept(water_library, water_points):
    """Neither references nor memory, by calls that succeed and calls that don't."""
    x, own = water_points["x"][0].copy(), np.empty(2)
    wrong, outside = np.ones(3), np.array([100.0, 1.0])
    out, block = (own, np.empty((2, 2))), np.empty((2, 2))
    counted = (x, own, out, wrong, outside, block, x.dtype, water_library)

    def calls(count):
        for _ in range(count):
            water_library.value_and_jacobian(x)
            water_library.value_and_jacobian(x, out=out)
            water_library.jacobian(x=x, out=block)
        for point in (wrong, outside) * 20:
            with pytest.raises((SignatureError, RuntimeWarning)):
                water_library.value(point)

    calls(10)
    gc.collect()
    before = [sys.getrefcount(each) for each in counted]
    tracemalloc.start()
    try:
        calls(10)
        gc.collect()
        start = tracemalloc.get_traced_memory()[0]
        calls(100_000)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - start < 20_000
    finally:
        tracemalloc.stop()
    assert [sys.getrefcount(each) for each in counted] == before


def test_a_result_is_the_callers_own(water_library, water_points):
    first, block = water_library.value_and_jacobian(water_points["x"][0])
    kept = first.tobytes(), block.tobytes()
    water_library.value_and_jacobian(water_points["x"][1])
    assert kept == (first.tobytes(), block.tobytes())
    assert first.flags.owndata
    assert sys.getrefcount(first) == 2


def test_a_library_is_freed(water_library, water_points):
    library = load_native(water_library.path)
    function, gone = library.value, weakref.ref(library)
    expected = library.value(water_points["x"])
    del library
    gc.collect()
    assert gone() is not None, "its function keeps it"
    assert np.array_equal(function(water_points["x"]), expected)
    del function
    gc.collect()
    assert gone() is None


def test_threads_have_a_workspace_each(water_ways, pair_ways, water_points):
    x = water_points["x"]
    expected = [water_ways[1].jacobian(point) for point in x]
    p = pair.points(20)
    beside = pair_ways[1].jacobian(p["a"][3], p["b"][3])
    same = []

    def work():
        for i in range(3000):
            same.append(np.array_equal(water_ways[0].jacobian(x[i % len(x)]), expected[i % len(x)]))
            blocks = pair_ways[0].jacobian(p["a"][3], p["b"][3])
            same.append(all(np.array_equal(blocks[name], beside[name]) for name in beside))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(same) == 6 * 6000
    assert all(same)


def test_other_threads_run_during_a_long_call(pair_ways):
    library, p = load_native(pair_ways[0].path), pair.points(20)
    library._library.pair_busy(20_000_000)  # some ten milliseconds a point
    try:
        threads = [threading.Thread(target=library.value, args=(p["a"][0], p["b"][0])) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert library._library.pair_most_together() == 2
    finally:
        library._library.pair_busy(0)


def test_help_shows_what_the_methods_have(water_library):
    for name in ("value", "value_and_jacobian", "vjp"):
        method, function = getattr(NativeLibrary, name), getattr(water_library, name)
        assert inspect.getdoc(function) == inspect.getdoc(method)
        own = list(inspect.signature(method).parameters)[1:]
        assert list(inspect.signature(function).parameters) == own
        assert function.__name__ == name


def test_a_function_is_pickled(water_library, water_points):
    again = pickle.loads(pickle.dumps(water_library.value_and_jacobian))
    assert_same(again(water_points["x"]), water_library.value_and_jacobian(water_points["x"]))


def test_methods_of_a_subclass_stay(water_library):
    class Scaled(NativeLibrary):
        def value(self, x):
            return 2 * super().value(x)

    library = Scaled(water_library.path)
    assert np.array_equal(library.value(X), 2 * water_library.value(X))
    assert np.array_equal(library.jacobian(X), water_library.jacobian(X))


def change_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)


def other_interface(file: Path) -> None:
    """The module of a later tfgradkit, perhaps."""
    source = (Path(python_extension.__file__).parents[2] / "templates" / "python_call.c").read_text()
    other = file.with_name("other.c")
    other.write_text(source.replace("#define INTERFACE 1 ", "#define INTERFACE 2 "))
    file.unlink()
    python_extension.link_extension(find_toolchain(), other, python_extension._headers(), file)
    other.unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        pytest.param(Path.unlink, "there is no extension", id="missing"),
        pytest.param(change_a_byte, "was changed", id="a changed byte"),
        pytest.param(lambda file: file.write_bytes(b""), "was changed", id="empty"),
    ],
)
def test_without_the_extension_ctypes_does_it(copied, water_library, damage, told):
    damage(copied / EXTENSION)
    library = load_native(copied)
    assert library.binding == "ctypes"
    assert told in repr(library)
    assert_same(library.value_and_jacobian(X), water_library.value_and_jacobian(X))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda file: file.write_bytes(b"no library"), "can't be loaded", id="not a library"),
        pytest.param(other_interface, "another version", id="another interface"),
    ],
)
def test_an_extension_that_is_listed_but_no_use(copied, water_library, change, told):
    (copied / EXTENSION).unlink()
    (copied / EXTENSION).write_bytes((water_library.path / EXTENSION).read_bytes())
    change(copied / EXTENSION)
    write_checksums(copied)
    library = load_native(copied)
    assert library.binding == "ctypes"
    assert told in repr(library)
    assert_same(library.value_and_jacobian(X), water_library.value_and_jacobian(X))


def test_other_files_must_be_as_they_were(copied):
    (copied / "python" / "eos.py").unlink()
    with pytest.raises(ChecksumError, match=r"eos\.py"):
        load_native(copied)


@pytest.mark.parametrize(("place", "name", "value"), [(sys.implementation, "name", "pypy"), (sys, "abiflags", "t")])
def test_another_python_uses_ctypes(water_library, monkeypatch, place, name, value):
    monkeypatch.setattr(place, name, value)
    library = load_native(water_library.path)
    monkeypatch.undo()
    assert library.binding == "ctypes"
    assert "this is" in repr(library)
    assert_same(library.value(X), water_library.value(X))


@pytest.mark.parametrize("missing", [0, 1])
def test_no_headers_no_extension(monkeypatch, tmp_path, missing):
    headers = list(python_extension._headers())
    headers[missing] = tmp_path
    monkeypatch.setattr(python_extension, "_headers", lambda: tuple(headers))
    built = python_extension.python_extension.__wrapped__(find_toolchain())
    assert built.binary is None
    name = ("Python.h", "arrayobject.h")[missing]
    assert built.described() == {"file": None, "not_built": f"there is no {name}"}


def test_a_compiler_that_fails_is_no_failure_of_the_export():
    built = python_extension.python_extension.__wrapped__(Toolchain(("false",), ("ar",), None))
    assert built.binary is None
    assert "the C compiler failed" in built.not_built


def test_the_extension_is_the_same_bytes_again():
    build = python_extension.python_extension.__wrapped__
    assert build(find_toolchain()).binary == build(find_toolchain()).binary
