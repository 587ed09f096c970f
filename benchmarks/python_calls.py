#!/usr/bin/env python3
"""What a call from Python costs above the same call from C: by the extension, by ctypes, and by ``python/<name>.py``.

    python benchmarks/python_calls.py [--rounds 300] [--calls 1000] [FOLDER]

FOLDER is a library of one input, one output and a Jacobian; without it, the model of benchmarks/native.py, float32,
is exported. Prints microseconds a call of value and Jacobian at one point, over rounds that take turns.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "helpers"))

import numpy as np

from tfgradkit.export.native.compile.toolchain import find_toolchain
from tfgradkit.native import NativeLibrary, load_native
from tfgradkit.native.artifact import EXTENSION
from tfgradkit.native.ports import Workspaces

Timer = Callable[[int], float]


def export(folder: Path) -> None:
    """The model of benchmarks/native.py."""
    import models  # type: ignore[import-not-found]  # of the tests

    import tfgradkit as tgk

    tgk.export_native(models.build(models.mlp(), "float32"), folder, "mlp", ("jacobian",))


def in_c(library: NativeLibrary, x: np.ndarray, results: tuple[np.ndarray, ...], work: Path) -> Timer:
    """A loop in C over the library's function, into the same arrays."""
    subprocess.run(
        [*find_toolchain().cc, "-O2", "-shared", "-fPIC", str(HERE / "call_loop.c"), "-o", str(work / "loop.so")],
        check=True,
    )
    loop = ctypes.CDLL(str(work / "loop.so")).loop
    loop.restype = ctypes.c_double
    own = ctypes.CDLL(str(library.path / library.metadata["files"]["shared"]))
    size = getattr(own, f"{library.name}_workspace_size")
    size.restype = ctypes.c_size_t
    function = ctypes.cast(getattr(own, f"{library.name}_jacobian"), ctypes.c_void_p)
    places = [ctypes.c_void_p(array.ctypes.data) for array in (x, *results)]
    workspace = Workspaces(size())
    return lambda calls: loop(function, calls, workspace.pointer, ctypes.c_int64(1), *places)


def in_python(function: Any, x: np.ndarray, out: Any = None) -> Timer:
    """A loop in Python."""
    named = {} if out is None else {"out": out}

    def run(calls: int) -> float:
        turns = range(calls)
        start = time.perf_counter()
        if named:
            for _ in turns:
                function(x, out=out)
        else:
            for _ in turns:
                function(x)
        return 1e6 * (time.perf_counter() - start) / calls

    return run


def timers(folder: Path, work: Path) -> dict[str, Timer]:
    """Every way to the same function."""
    library = load_native(folder)
    shutil.copytree(folder, work / "copy")
    (work / "copy" / EXTENSION).unlink()
    through_ctypes = load_native(work / "copy")
    sys.path.append(str(folder / "python"))
    module = __import__(library.name)
    x = next(iter(library._arrays("vectors").values()))[0]
    out = library.value_and_jacobian(x)
    return {
        "C": in_c(library, x, out, work),
        f"`load_native`, {library.binding}": in_python(library.value_and_jacobian, x),
        f"the same, `out=`, {library.binding}": in_python(library.value_and_jacobian, x, out),
        f"`python/{library.name}.py`, {module._binding}": in_python(module.value_and_jacobian, x),
        f"`load_native`, {through_ctypes.binding}": in_python(through_ctypes.value_and_jacobian, x),
        f"the same, `out=`, {through_ctypes.binding}": in_python(through_ctypes.value_and_jacobian, x, out),
        "a Python function that does nothing": in_python(lambda x: None, x),
    }


def main() -> None:
    """Measures in turns, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--calls", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        if options.folder is None:
            options.folder = Path(work) / "mlp"
            export(options.folder)
        ways = timers(options.folder, Path(work))
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, timer in ways.items():
                times[name].append(timer(options.calls))
    least, middle = min(times["C"]), statistics.median(times["C"])
    print("| µs a call, 1 point | shortest | above C | median | above C |\n|---|---|---|---|---|")
    for name, own in times.items():
        low, mid = min(own), statistics.median(own)
        print(f"| {name} | {low:.2f} | {low - least:.2f} | {mid:.2f} | {mid - middle:.2f} |")


if __name__ == "__main__":
    main()
