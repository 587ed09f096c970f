"""C programs that try to break a library: warnings, sanitizers, valgrind, threads, the heap, two at once.

``TFGRADKIT_SWEEP=1`` (``scripts/sweep``) makes the random ones long.
"""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import models
import numpy as np
import pytest

import tfgradkit as tgk
from tfgradkit.comparison import relative_error
from tfgradkit.export.native.compile.targets import choose_targets

CLIENTS = Path(__file__).resolve().parent.parent / "clients"
SWEEP = bool(os.environ.get("TFGRADKIT_SWEEP"))
LONG = pytest.mark.skipif(not SWEEP, reason="long: run scripts/sweep")
FLOATS = pytest.mark.parametrize("library", ["float32"], indirect=True)
LIMIT = 3.0
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
COMPILERS = [
    pytest.param(("gcc",), id="gcc"),
    pytest.param(("clang",), id="clang"),
    pytest.param((sys.executable, "-m", "ziglang", "cc"), id="zig"),
]


def calls(few: int, many: int) -> str:
    return str(many if SWEEP else few)


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def run(command: list, **options) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=1800, **options)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done


def flat(shape, *layers):
    """A model of so many numbers, seen in a shape, that ends in three."""
    x = keras.Input((math.prod(shape),))
    y = L.Reshape(shape)(x)
    for layer in layers:
        y = layer(y)
    return keras.Model(x, L.Dense(3)(L.Flatten()(y)))


L = keras.layers
# By name: the dtype, and a model of each kind of step that the engine has.
MODELS = {
    "float32": ("float32", models.mlp(2, 3, 9)),
    "float64": ("float64", models.mlp(2, 3, 9)),
    "products": ("float32", models.mlp(2, 3, 40)),
    "convolution": (
        "float32",
        lambda: flat((5, 5, 1), L.Conv2D(6, 3, padding="same", activation="tanh"), L.MaxPool2D()),
    ),
    "loop": ("float32", lambda: flat((3, 2), L.LSTM(4))),
    "attention": ("float32", lambda: flat((3, 4), L.LayerNormalization(), Attention())),
}


class Attention(L.Layer):
    """Of a sequence to itself."""

    def build(self, shape):
        self.attention = L.MultiHeadAttention(2, 3)
        self.attention.build(shape, shape)

    def call(self, x):
        return self.attention(x, x)


@pytest.fixture(scope="module", params=MODELS if SWEEP else ["float32", "float64", "products"])
def library(request, tmp_path_factory):
    """A small library with a range and three outputs."""
    dtype, make = MODELS[request.param]
    model = models.build(make, dtype)
    folder = tmp_path_factory.mktemp("hard") / "lib"
    ranges = {"x": (-LIMIT, LIMIT)}
    return tgk.export_native(model, folder, "small", ("jacobian",), ranges=ranges, tile=8)


def program(library, work: Path, source: str, compiler: list, *, static: bool = False) -> Path:
    """A C program of the tests' with the driver's sources, or with the static library."""
    target, folder = work / source, library.path
    c_type = {"float32": "float", "float64": "double"}[library.metadata["dtype"]]
    (inputs,) = library.metadata["inputs"][0]["shape"]
    macros = ["-DNAME=small", f"-DTYPE={c_type}", f"-DNX={inputs}", "-DNY=3", f"-DLOW={-LIMIT}", f"-DHIGH={LIMIT}"]
    parts = [folder / "lib" / "libsmall.a"] if static else [*folder.glob("src/*.c"), *folder.glob("src/*.o")]
    run([*compiler, *macros, f"-I{folder / 'include'}", CLIENTS / f"{source}.c", *parts, "-lm", "-o", target])
    return target


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_driver_compiles_without_a_warning(library, compiler, tmp_path):
    if compiler[0] == sys.executable:
        pytest.importorskip("ziglang", reason="the ziglang wheel is not installed")
    need(compiler[0])
    for source in library.path.glob("src/*.c"):
        for level in ("-O0", "-O3"):
            include = f"-I{library.path / 'include'}"
            run([*compiler, *STRICT, level, include, "-c", source, "-o", tmp_path / "driver.o"])


@pytest.mark.parametrize("target", ["", "x86-64"], ids=["best target", "baseline"])
def test_random_calls_keep_every_promise(library, tmp_path, target):
    """Under AddressSanitizer and UndefinedBehaviorSanitizer, which watch the driver."""
    need("gcc")
    if target and target not in [t["name"] for t in library.metadata["targets"]]:
        pytest.skip("the library has no such target")
    checks = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    fuzz = program(library, tmp_path, "fuzz", ["gcc", "-std=c99", *checks])
    environment = {**os.environ, "SMALL_TARGET": target}
    for seed in range(4 if SWEEP else 1):
        run([fuzz, seed, calls(1500, 25_000)], env=environment)


@FLOATS
def test_a_broken_promise_would_be_seen(library, tmp_path):
    """The random calls against a driver that forgets that an input lies outside its range."""
    need("gcc")
    copy = shutil.copytree(library.path, tmp_path / "copy")
    engine = copy / "src" / "engine.h"
    engine.write_text(engine.read_text().replace("status |= ENGINE_OUT_OF_RANGE;", "status |= 0;"))
    broken = type("Library", (), {"path": copy, "metadata": library.metadata})
    fuzz = program(broken, tmp_path, "fuzz", ["gcc", "-std=c99", "-O1"])
    done = subprocess.run([str(fuzz), "1", "1000"], capture_output=True, text=True)
    assert (done.returncode, "status" in done.stdout) == (1, True), done.stdout


def test_valgrind_finds_nothing(library, tmp_path):
    """It watches the kernels, too; it runs no AVX-512, and says so to the library."""
    need("gcc", "valgrind")
    fuzz = program(library, tmp_path, "fuzz", ["gcc", "-std=c99", "-g", "-O1"])
    watch = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=all"]
    run([*watch, fuzz, 3, calls(60, 3000)])


def test_threads_with_a_workspace_each(library, tmp_path):
    """Under ThreadSanitizer; the first call of all included."""
    need("gcc")
    threads = program(library, tmp_path, "threads", ["gcc", "-std=c99", "-g", "-O1", "-fsanitize=thread", "-pthread"])
    assert run([threads, calls(200, 5000)]).stdout == "8 threads, 0 differ\n"


def test_a_call_takes_nothing_from_the_heap(library, tmp_path):
    need("gcc")
    wrapped = ("malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "mmap")
    wrap = [f"-Wl,--wrap={function}" for function in wrapped]
    counted = run([program(library, tmp_path, "allocations", ["gcc", "-std=c99", "-O2", *wrap], static=True)]).stdout
    assert counted.split() == ["0", "1"], "allocations of the calls, and of the self-test"


@FLOATS
def test_a_call_leaves_the_floating_point_environment(library):
    """Rounding, masks and flush-to-zero of MXCSR, where glibc's fenv_t has it; not the flags that operations raise."""
    if sys.platform != "linux" or library.metadata["targets"][0]["name"] != "x86-64":
        pytest.skip("reads the layout of glibc's fenv_t on x86-64")
    libm, environments = ctypes.CDLL("libm.so.6"), [(ctypes.c_uint32 * 16)() for _ in range(2)]
    libm.fegetenv(environments[0])
    library.value(np.full((40, 2), 1e-310))
    libm.fegetenv(environments[1])
    before, after = (environment[7] & ~0x3F for environment in environments)
    assert before == after != 0


@FLOATS
def test_two_versions_of_one_library_in_a_process(library, tmp_path):
    """Each calls its own functions, although both export the same names to everybody."""
    model = models.build(models.mlp(2, 3, 9), library.metadata["dtype"])
    for variable in model.weights:
        variable.assign(0.5 * variable)
    plain = (library.metadata["targets"][0]["name"],)
    other = tgk.export_native(model, tmp_path / "other", "small", ("jacobian",), targets=plain, tile=8)
    files = [each.path / each.metadata["files"]["shared"] for each in (library, other)]
    first, second = (ctypes.CDLL(str(file), ctypes.RTLD_GLOBAL) for file in files)
    assert first.small_selftest(None) == 0
    assert second.small_selftest(None) == 0
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    results = [each.value(x) for each in (library, other, library, other)]
    assert np.array_equal(results[0], results[2])
    assert np.array_equal(results[1], results[3])
    assert relative_error(results[1], model(x).numpy()) < 1e-5
    assert relative_error(results[0], results[1]) > 0.1


@FLOATS
def test_two_libraries_linked_into_one_program(library, mlp_library, tmp_path):
    need("gcc")
    source = tmp_path / "both.c"
    source.write_text(
        '#include "small.h"\n#include "mlp.h"\n'
        "int main(void) { return small_selftest(0) != 0 || mlp_selftest(0) != 0; }\n"
    )
    folders = (library.path, mlp_library[1].path)
    includes = [f"-I{folder / 'include'}" for folder in folders]
    archives = [archive for folder in folders for archive in folder.glob("lib/*.a")]
    run(["gcc", *STRICT, *includes, source, *archives, "-lm", "-o", tmp_path / "both"])
    run([tmp_path / "both"])


def doubled(inputs: int, outputs: int, folder: Path) -> tgk.NativeLibrary:
    """y[i] = 2 x[0] in float32, for the best target."""
    import tensorflow as tf

    def f(x):
        return tf.repeat(2 * x[:1], outputs)

    spec = tf.TensorSpec([inputs], tf.float32)
    targets = (library_targets()[-1],)
    return tgk.export_native(f, folder, "wide", (), targets=targets, input_specs=spec, tile=64)


def library_targets() -> list[str]:
    return [target.name for target in choose_targets(("host",))]


@pytest.mark.parametrize(
    ("inputs", "outputs", "n", "offset"),
    [
        pytest.param(1024, 1, 2**21 + 100, 0, id="inputs"),
        pytest.param(1024, 1, 2**21 + 100, 4, id="inputs not aligned", marks=LONG),
        pytest.param(1, 1024, 2**21 + 100, 0, id="outputs", marks=LONG),
        pytest.param(1, 1024, 2**21 + 100, 4, id="outputs not aligned", marks=LONG),
        pytest.param(1, 1, 2**31 + 3, 4, id="points", marks=LONG),
    ],
)
def test_more_numbers_than_32_bits_count(tmp_path, inputs, outputs, n, offset):
    need("gcc")
    library = doubled(inputs, outputs, tmp_path / "wide")
    macros = ["-DNAME=wide", "-DTYPE=float", f"-DNX={inputs}", f"-DNY={outputs}", f"-I{library.path / 'include'}"]
    parts = [CLIENTS / "large.c", library.path / "lib" / "libwide.a", "-lm"]
    run(["gcc", "-std=c99", "-O2", *macros, *parts, "-o", tmp_path / "large"])
    done = subprocess.run([str(tmp_path / "large"), str(n), str(offset)], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("the system gives no such range of addresses")
    assert done.stdout.split() == ["0", "0", "6"], done
