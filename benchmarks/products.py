#!/usr/bin/env python3
"""The product kernel alone: GFLOP/s and share of one core's measured peak, against OpenBLAS and the wheels at hand.

    python benchmarks/products.py [--target x86-64-v3] [--rounds 9] [--peers jax,tensorflow] [--widths 64,256]

Squares B[w, w] and thin ones, for m rows of A. The shortest of rounds that take turns, on one core, in time of the
process, so that others on the core don't count. "packed" is what weights take, "transposed" those
whose transpose is packed, "rows" a B that is not packed. OpenBLAS
is the one that NumPy brings, called from C: gemm, and gemv at one row, whichever is faster. JAX (XLA's CPU backend with
Eigen) and TensorFlow (oneDNN or Eigen) are called from Python, a call with a product of 1 x 1 taken off, for products
that take longer than such a call.
"""

from __future__ import annotations

import argparse
import ctypes
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from machine import described

from tfgradkit.export.native.compile import targets
from tfgradkit.export.native.compile.toolchain import compile_c, find_toolchain, link_shared, target_flags
from tfgradkit.export.native.library.packed_weights import pack_weights

ROWS = (1, 7, 56, 448, 2048)
WIDTHS = (16, 64, 128, 256, 512, 1024)
THIN = ((64, 1), (64, 6), (6, 64), (256, 6))
SECONDS = 1e-3  # of a measurement, at least
PEER_FLOPS = 4e6  # from which on a call from Python is measured
C_TYPES = {"float32": "float", "float64": "double"}
Timer = Callable[[int], float]  # seconds of so many calls


class Sizes(ctypes.Structure):
    """product_sizes of templates/products.h."""

    _fields_ = tuple((f"f{i}", ctypes.c_int64) for i in range(14))


def built(target: targets.Target, work: Path) -> ctypes.CDLL:
    """benchmarks/products.c for a target."""
    tools, source = find_toolchain(), work / "products.c"
    source.write_text("#pragma GCC visibility push(default)\n" + (HERE / "products.c").read_text())
    templates = Path(str(resources.files("tfgradkit.export").joinpath("templates")))
    compile_c(tools, source, templates, work / "products.o", target_flags(tools, target))
    link_shared(tools, [work / "products.o"], work / "products.so", "*", libm=False)
    library = ctypes.CDLL(str(work / "products.so"))
    for kind in ("ours", "transposed", "rows", "gemm", "gemv"):
        for suffix in ("f32", "f64"):
            getattr(library, f"{kind}_{suffix}").restype = ctypes.c_double
    return library


def peak(target: targets.Target, dtype: str, work: Path) -> Callable[[], float]:
    """Measures GFLOP/s of fused multiply-adds in registers."""
    tools, program = find_toolchain(), work / f"peak_{dtype}"
    defines = [f"-DTYPE={C_TYPES[dtype]}", f"-DBYTES={target.vector_bytes}", *target_flags(tools, target)]
    subprocess.run([*tools.cc, "-O3", "-ffast-math", *defines, str(HERE / "peak.c"), "-o", str(program)], check=True)
    return lambda: float(subprocess.run([program], capture_output=True, text=True, check=True).stdout)


def openblas() -> ctypes.CDLL | None:
    """The library in NumPy's wheel."""
    found = sorted(Path(np.__file__).parent.parent.glob("numpy.libs/libscipy_openblas64_*"))
    return ctypes.CDLL(str(found[0])) if found else None


def aligned(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Zeros that begin at a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    return raw[-raw.ctypes.data % 64 :][:size].view(dtype).reshape(shape)


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Random ones."""
    array = aligned(shape, dtype)
    array[...] = np.random.default_rng(0).standard_normal(shape)
    return array


def aligned_like(array: np.ndarray) -> np.ndarray:
    """The same numbers, from a cache line on."""
    copy = aligned(array.shape, array.dtype.name)
    copy[...] = array
    return copy


def native_timers(library: ctypes.CDLL, blas: ctypes.CDLL | None, a: np.ndarray, b: np.ndarray) -> dict[str, Timer]:
    """Ours and OpenBLAS, once checked against NumPy."""
    (m, k), n, dtype = a.shape, b.shape[1], a.dtype.name
    c, packed, other = aligned((m, n), dtype), aligned_like(pack_weights(b)), aligned_like(pack_weights(b.T))
    sizes = Sizes(1, m, n, k, 0, k, 1, 0, n, 1, 0, 0, 0, n)
    suffix, letter = ("f32", "s") if dtype == "float32" else ("f64", "d")

    def timer(kind: str, right: np.ndarray, *first: Any) -> Timer:
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (a, right, c)]
        call = getattr(library, f"{kind}_{suffix}")
        return lambda calls: call(*first, ctypes.byref(sizes), *pointers, ctypes.c_int64(calls))

    timers = {"packed": timer("ours", packed), "transposed": timer("transposed", other), "rows": timer("rows", b)}
    if blas is not None:
        timers["OpenBLAS"] = timer("gemm", b, getattr(blas, f"scipy_cblas_{letter}gemm64_"))
        if m == 1:
            timers["gemv"] = timer("gemv", b, getattr(blas, f"scipy_cblas_{letter}gemv64_"))
    expected = a.astype(np.float64) @ b
    for name, each in timers.items():
        c[...] = np.nan
        each(1)
        if not np.allclose(c, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()):
            raise SystemExit(f"{name}: another product of {m} x {k} x {n}")
    return timers


def jax_product(dtype: str) -> Callable[[np.ndarray, np.ndarray], Callable[[], object]]:
    """Jitted, both operands on the device."""
    import jax

    jax.config.update("jax_enable_x64", True)
    product = jax.jit(lambda a, b: a @ b)

    def prepared(a: np.ndarray, b: np.ndarray) -> Callable[[], object]:
        left, right = jax.device_put(a), jax.device_put(b)
        return lambda: product(left, right).block_until_ready()

    return prepared


def tensorflow_product(dtype: str) -> Callable[[np.ndarray, np.ndarray], Callable[[], object]]:
    """Eager."""
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != 1:
        tf.config.threading.set_intra_op_parallelism_threads(1)

    def prepared(a: np.ndarray, b: np.ndarray) -> Callable[[], object]:
        left, right = tf.constant(a), tf.constant(b)
        return lambda: tf.raw_ops.MatMul(a=left, b=right)

    return prepared


PEERS = {"jax": jax_product, "tensorflow": tensorflow_product}


def from_python(call: Callable[[], object], empty: Callable[[], object]) -> Timer:
    """Without what a call of nothing takes."""

    def seconds(of: Callable[[], object], calls: int) -> float:
        start = time.process_time()
        for _ in range(calls):
            of()
        return time.process_time() - start

    nothing = min(seconds(empty, 50) / 50 for _ in range(5))
    return lambda calls: max(seconds(call, calls) - calls * nothing, 1e-9)


def measure(timers: dict[str, Timer], flops: float, rounds: int) -> dict[str, float]:
    """GFLOP/s of each, from its shortest round."""
    calls = max(1, int(SECONDS * 50e9 / flops))
    best = dict.fromkeys(timers, float("inf"))
    for _ in range(rounds):
        for name, timer in timers.items():
            timer(1)  # the operands are in whichever cache holds them
            best[name] = min(best[name], timer(calls) / calls)
    if "gemv" in best:
        best["OpenBLAS"] = min(best["OpenBLAS"], best.pop("gemv"))
    return {name: flops / seconds / 1e9 for name, seconds in best.items()}


def peers(names: list[str], dtype: str) -> dict[str, Any]:
    """Those that can be imported; why not, of the others."""
    found = {}
    for name in names:
        try:
            found[name] = PEERS[name](dtype)
        except ImportError as error:
            print(f"without {name}: {error}")
    return found


def table(
    library: ctypes.CDLL, dtype: str, shapes: list[tuple[int, int]], options: argparse.Namespace, work: Path
) -> None:
    """Prints the rows of one dtype."""
    highest, blas, others = peak(options.target, dtype, work), openblas(), peers(options.peers, dtype)
    best_peak = highest()
    columns = ["packed", "transposed", "rows", *(["OpenBLAS"] if blas else []), *others]
    print(f"\n| {dtype}: m x k x n | packed, % of peak | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}")
    for k, n in shapes:
        for m in options.rows:
            a, b = numbers((m, k), dtype), numbers((k, n), dtype)
            timers = native_timers(library, blas, a, b)
            for name, prepared in others.items() if 2 * m * n * k >= PEER_FLOPS else ():
                timers[name] = from_python(prepared(a, b), prepared(a[:1, :1], b[:1, :1]))
            speeds = measure(timers, 2.0 * m * n * k, options.rounds)
            best_peak = max(best_peak, highest()) if n == shapes[-1][1] else best_peak
            cells = " | ".join(f"{speeds[name]:.1f}" if name in speeds else "–" for name in columns)
            print(f"| {m} x {k} x {n} | {100 * speeds['packed'] / best_peak:.0f} | {cells} |", flush=True)
    print(f"\npeak of one core: {best_peak:.1f} GFLOP/s" + ("" if blas else "; NumPy brings no OpenBLAS here"))


def main() -> None:
    """One table a dtype."""
    integers = lambda text: tuple(int(word) for word in text.split(","))  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default=targets.choose_targets(("host",))[-1].name)
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=list(C_TYPES))
    parser.add_argument("--widths", type=integers, default=WIDTHS)
    parser.add_argument("--rows", type=integers, default=ROWS)
    parser.add_argument("--peers", type=lambda text: [word for word in text.split(",") if word], default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    (options.target,) = targets.choose_targets((options.target,))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"{options.target.name}, {described()}: GFLOP/s on one core, the best of {options.rounds} rounds")
    with tempfile.TemporaryDirectory() as work:
        library = built(options.target, Path(work))
        for dtype in options.dtypes:
            table(library, dtype, [*((w, w) for w in options.widths), *THIN], options, Path(work))


if __name__ == "__main__":
    main()
