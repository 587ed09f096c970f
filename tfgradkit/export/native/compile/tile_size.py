"""The size of a tile, the points that are evaluated at once: measured, where it makes a difference.

A larger tile needs fewer calls of kernels, and more memory between them. For most models sizes from 8 to 128 are
within a few percent of each other, so another size than the usual one must be clearly faster. A choice is remembered
in the user's cache folder: the same model exports to the same bytes, whatever the clock says the next time.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ....errors import ExportError
from ...functions.interface import Entry, Port
from ..library.c_sources import (
    CompiledFunction,
    Pair,
    Sources,
    constants_source,
    product_kernels,
    write_files,
    write_sources,
)
from .compiled_program import Program
from .targets import Target, processor_name
from .toolchain import Toolchain, assembles, compile_c, compile_products, link_shared

_USUAL = 8
_OTHERS = (64,)
_LARGEST = 4096
# The largest array of a tile fits a core's second-level cache.
_TILE_BYTES = 1 << 19
# From this work on, the 100 ns of a tile's calls are less than a tenth of its time.
_LITTLE_WORK = 10_000
# The share of the usual size's time at which another counts as faster, whatever the noise.
_CLEARLY = 0.85
_SECONDS = 0.05
_ROUNDS = range(5, 100)


def check_tile(tile: int | None) -> None:
    """Refuses a number that is no size of a tile.

    Raises:
        ExportError: not an integer from 2 to 4096.
    """
    if tile is not None and (not isinstance(tile, int) or not 2 <= tile <= _LARGEST):
        raise ExportError(
            "a tile has so many points as can be evaluated at once",
            subject="tile",
            expected=f"None, or an integer from 2 to {_LARGEST}",
            got=repr(tile),
        )


def candidates(entry: Entry, flops: int) -> tuple[int, ...]:
    """The sizes worth trying, the usual one first: powers of two whose largest array fits the cache.

    Larger sizes spare calls of kernels, which count where a point has little work.
    """
    largest = max(p.elements * p.item_bytes for p in (*entry.inputs, *entry.outputs))
    usual = _USUAL
    while usual > 2 and usual * largest > _TILE_BYTES:
        usual //= 2
    others = _OTHERS if flops <= _LITTLE_WORK else ()
    return (usual, *(size for size in others if size * largest <= _TILE_BYTES))


def worth_single_points(tile: Program) -> bool:
    """Whether the arrays of a tile are more than the second-level cache holds, so that no tile at all may be faster."""
    return sum(buffer.size for buffer in tile.buffers if buffer.kind != "constant") > _TILE_BYTES


def fastest(function: CompiledFunction, target: Target, work: Path, tools: Toolchain) -> Pair:
    """The fastest pair of a function that has a pair for each size, all for ``target``; the usual size first."""
    if len(function.pairs) == 1:
        return function.pairs[0]
    memory = _memory(function, work)
    sizes = [pair.tile_points for pair in function.pairs]
    chosen = _recall(memory)
    if chosen not in sizes:
        chosen = _choose(sizes, _measure(_probe(function, target, work, tools), function.entry, len(sizes)))
        _remember(memory, chosen)
    return function.pairs[sizes.index(chosen)]


def _choose(sizes: list[int], times: list[float]) -> int:
    """The first size, unless the fastest is clearly faster."""
    best = min(range(len(times)), key=lambda i: times[i])
    return sizes[best if times[best] < _CLEARLY * times[0] else 0]


def _memory(function: CompiledFunction, work: Path) -> Path:
    """The file that remembers a choice: its name is a hash of the measured code and the processor."""
    digest = hashlib.sha256(processor_name().encode())
    for program in function.programs:
        digest.update((work / f"{program.name}.o").read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tfgradkit" / "tiles" / digest.hexdigest()


def _recall(memory: Path) -> int:
    try:
        return int(memory.read_text())
    except (OSError, ValueError):
        return 0


def _remember(memory: Path, size: int) -> None:
    """Writes the choice beside ``memory`` and renames it, as several exports may run; skipped on a full disk."""
    beside = memory.with_name(f"{memory.name}-{os.getpid()}")
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(f"{size}\n")
        beside.replace(memory)


def _probe(function: CompiledFunction, target: Target, work: Path, tools: Toolchain) -> ctypes.CDLL:
    """A library with a function ``probe_tile_<i>`` for each size."""
    entry = function.entry
    sizes = tuple(
        CompiledFunction(entry, (_renamed(pair, i),), suffix=f"tile_{i}") for i, pair in enumerate(function.pairs)
    )
    objects = tuple(dict.fromkeys(f"{program.name}.o" for program in function.programs))
    objects += tuple(compile_products(tools, work, *kernels, target) for kernels in product_kernels(sizes).items())
    vectors = {p.name: np.zeros((1, *p.shape), p.dtype) for p in (*entry.inputs, *entry.outputs)}
    sources = Sources(
        name="probe", version="", summary="", functions=sizes, targets=(target,), objects=objects, vectors=vectors,
        tolerance=0.0, small=0.0, ranges={}, metadata="", needs_libm=True, assembler=assembles(tools),
    )  # fmt: skip
    folder = work / f"probe_{entry.kind}"
    write_files(folder, write_sources(sources))
    files = [folder / "src" / "probe.c", folder / "src" / "record.c", constants_source(folder)]
    driver = [folder / f"{source.stem}.o" for source in files]
    for source, output in zip(files, driver, strict=True):
        compile_c(tools, source, folder / "include", output)
    link_shared(tools, [*driver, *(work / name for name in objects)], folder / "libprobe.so", "probe", libm=True)
    return ctypes.CDLL(str(folder / "libprobe.so"))


def _renamed(pair: Pair, i: int) -> Pair:
    """The pair with other names for its tables; the kernels keep their names."""
    return replace(
        pair, one=replace(pair.one, name=f"programs_{i}_one"), tile=replace(pair.tile, name=f"programs_{i}_tile")
    )


def _measure(library: ctypes.CDLL, entry: Entry, count: int) -> list[float]:
    """The shortest time of each size; the sizes take turns."""
    calls = [_call(library, f"probe_tile_{i}", entry) for i in range(count)]
    times: list[list[float]] = [[] for _ in range(count)]
    begin = time.perf_counter()
    for _ in _ROUNDS:
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
        if len(times[0]) >= _ROUNDS.start and time.perf_counter() - begin > _SECONDS * count:
            break
    return [min(taken) for taken in times]


def _call(library: ctypes.CDLL, symbol: str, entry: Entry) -> Callable[[], None]:
    points = max(_USUAL, *_OTHERS) * 4
    generator = np.random.default_rng(0)
    arrays = [_aligned(p, points) for p in (*entry.inputs, *entry.outputs)]
    for port, array in zip(entry.inputs, arrays, strict=False):
        if port.floating:
            array[:] = generator.standard_normal(array.shape)
    library.probe_workspace_size.restype = ctypes.c_size_t
    workspace = _aligned(Port("workspace", (library.probe_workspace_size() // 8 + 8,), "float64"), 1)
    function = library[symbol]
    function.argtypes = [ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * len(arrays)]

    def call() -> None:
        function(workspace.ctypes.data, points, *(array.ctypes.data for array in arrays))

    return call


def _aligned(port: Port, points: int) -> np.ndarray:
    """Memory for ``points`` points, at a multiple of 64 bytes."""
    memory = np.zeros(points * port.elements * port.item_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + points * port.elements * port.item_bytes].view(port.dtype)
