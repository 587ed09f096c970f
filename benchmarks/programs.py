"""What runs as a program of its own: our library from C, C++ by hand, TensorFlow's C API, the processor's peak."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clients
import numpy as np
from cases import ROOT, Case, Layers

import tfgradkit as tgk
from tfgradkit.export.native.compile.toolchain import find_toolchain

HERE = ROOT / "benchmarks"
C_TYPES = {"float32": "float", "float64": "double"}

# Microseconds a call with n points.
Timer = Callable[[int], float]


def c_library(case: Case, library: tgk.NativeLibrary, work: Path) -> Timer:
    """A C program that links the static library."""
    program, folder = work / "library", library.path
    three = ["-DTHREE"] if case.kind == "hessian" else []
    command = [*find_toolchain().cc, "-O2", f"-DNAME={library.name}", f"-DKIND={case.kind}", *three]
    files = [str(HERE / "library_bench.c"), str(folder / library.metadata["files"]["static"])]
    clients.run([*command, *_shape(case, library), f"-I{folder / 'include'}", *files, "-lm", "-o", str(program)])
    return _timer(case, library, work, [str(program)], [])


def by_hand(case: Case, library: tgk.NativeLibrary, work: Path, layers: Layers) -> Timer | None:
    """The same in C++, built as its author would; None without a compiler."""
    program, weights = work / "by_hand", work / "weights"
    np.concatenate([part.ravel() for layer in layers for part in layer]).astype(case.dtype).tofile(weights)
    defines = [f"-DWIDTH={layers[0][0].shape[1]}", f"-DHIDDEN={len(layers) - 1}", f"-DY_SIZE={layers[-1][0].shape[1]}"]
    defines += ["-DSOFTPLUS"] * (case.activation == "softplus") + ["-DHESSIAN"] * (case.kind == "hessian")
    flags = ["-std=c++17", "-O3", "-march=native", "-ffast-math"]
    try:
        command = ["c++", *flags, *defines, *_shape(case, library), str(HERE / "by_hand.cpp"), "-o", str(program)]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no C++ by hand: {error}")
        return None
    return _timer(case, library, work, [str(program)], [str(weights)])


def _shape(case: Case, library: tgk.NativeLibrary) -> list[str]:
    sizes = [str(array[0].size) for array in library.call(case.kind, case.points(1))]
    return [f"-DTYPE={C_TYPES[case.dtype]}", f"-DX_SIZE={len(case.low)}", f"-DSIZES={','.join(sizes)}"]


def _timer(case: Case, library: tgk.NativeLibrary, work: Path, program: list[str], more: list[str]) -> Timer:
    def run(n: int) -> float:
        given, results = work / f"x_{n}", work / "results"
        points = case.points(n)
        points.tofile(given)
        time = float(clients.run([*program, str(n), str(given), str(results), *more]))
        check(case, library, points, np.fromfile(results, case.dtype))
        return time

    return run


def check(case: Case, library: tgk.NativeLibrary, points: np.ndarray, results: np.ndarray) -> None:
    """Stops the benchmark where somebody computes something else."""
    expected = np.concatenate([array.ravel() for array in library.call(case.kind, points)])
    tolerance = 1e-3 if case.dtype == "float32" else 1e-8
    if not np.allclose(results, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()):
        raise SystemExit(f"{case.title}: other results, by {np.abs(results - expected).max():.3g}")


def tensorflow_c(case: Case, model: Any, work: Path, counts: tuple[int, ...]) -> Timer:
    """The frozen graph that our library was compiled from, through TF_SessionRun."""
    from tfgradkit.export.functions.entries import describe
    from tfgradkit.export.functions.tf_functions import argument_specs, exported, with_specs
    from tfgradkit.export.native.compile.frozen_graph import freeze
    from tfgradkit.sources.resolve import resolve

    source = with_specs(resolve(model), None)
    (entry,) = describe(source, (case.kind,))
    commands = {}
    for n in counts:
        frozen = freeze(exported(source, entry), argument_specs(entry, n))
        graph = work / f"frozen_{n}.pb"
        graph.write_bytes(frozen.graph.SerializeToString())
        outputs = [f"out:{frozen.outputs[port.name]}:0:{work / 'result'}" for port in entry.outputs]
        given = clients.input_argument(work, f"{frozen.inputs['x']}:0", case.points(n))
        repeat = str(max(10, min(2000, 50_000 // n)))
        commands[n] = [*clients.tensorflow_client(), str(graph), repeat, given, *outputs]
    return lambda n: float(clients.run(commands[n]))


def peaks(work: Path, dtype: str) -> dict[str, Callable[[], float]]:
    """GFLOP/s of one core in fused multiply-adds, by instruction set, where the processor has it."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found: dict[str, Callable[[], float]] = {}
    for name, feature, option, width in (
        ("AVX2", " fma ", ["-mavx2", "-mfma"], 32),
        ("AVX-512", " avx512f ", ["-mavx512f"], 64),
    ):
        if feature in flags:
            program = work / f"peak_{dtype}_{width}"
            defines = [f"-DTYPE={C_TYPES[dtype]}", f"-DBYTES={width}"]
            command = [*find_toolchain().cc, "-O3", "-ffast-math", *option, *defines, str(HERE / "peak.c")]
            clients.run([*command, "-o", str(program)])
            found[name] = lambda program=program: float(clients.run([str(program)]))  # type: ignore[misc]
    return found
