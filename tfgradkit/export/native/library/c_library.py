"""The folder of a C library, put together and tested: sources, binaries, metadata, recorded points, checksums."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from ....comparison import SMALL, relative_error
from ....errors import LibraryError
from ....native import NativeLibrary
from ....native.artifact import ABI_VERSION, EXTENSION, write_checksums
from ....templates import template
from ....tensorflow_version import tensorflow_version
from ....version import __version__
from ...functions.interface import Port
from ..compile.elf import needs_libm
from ..compile.targets import Target
from ..compile.toolchain import (
    PRODUCT_HEADERS,
    Toolchain,
    archive,
    assembles,
    compile_c,
    compile_products,
    compiler_version,
    link_shared,
)
from .c_sources import CompiledFunction, Sources, constants_source, product_kernels, write_files, write_sources
from .clients import Clients, write_clients, write_python_module
from .float64_reference import Float64Reference
from .python_extension import python_extension

MARKER = "share/*/metadata.json"
# The largest error, relative to the largest magnitude of a result, at which a library counts as the same function as
# TensorFlow's. It comes from rounding, and from XLA's own approximations of tanh, exp and log.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
_WIDE_VECTORS = "testvectors_float64.npz"
_SELFTEST_BYTES = 1 << 15
_FUNCTIONS = ("workspace_size", "status_text", "metadata", "abi_version", "selftest", "target")


@dataclass(frozen=True)
class LibraryParts:
    """The parts that a library is made of.

    Attributes:
        vectors: the recorded points, and the operators' results there.
        wide: the same network's results there in float64.
        work: the folder of the compiler's output.
    """

    name: str
    model: str
    functions: tuple[CompiledFunction, ...]
    targets: tuple[Target, ...]
    vectors: dict[str, np.ndarray]
    wide: Float64Reference
    ranges: dict[str, tuple[np.ndarray, np.ndarray]]
    weights_sha256: str
    work: Path
    tools: Toolchain


def write_library(folder: Path, parts: LibraryParts) -> None:
    """Fills ``folder``, and compares the library with the recorded results.

    Raises:
        LibraryError: the library computes something else than TensorFlow.
        ToolchainError: the C compiler fails.
    """
    share = folder / "share" / parts.name
    share.mkdir(parents=True)
    np.savez(share / "testvectors.npz", allow_pickle=False, **parts.vectors)
    if parts.wide.results:
        np.savez(share / _WIDE_VECTORS, allow_pickle=False, **parts.wide.results)
    _copy_kernels(folder, parts)
    _copy_licenses(folder)
    # Built twice: the metadata inside the library state the errors that the library reached.
    metadata = _metadata(parts)
    _build(folder, parts, metadata)
    library = NativeLibrary(folder)
    try:
        metadata["achieved_error"] = library.verify()
    except LibraryError as error:
        raise LibraryError(
            "the compiled model computes something else than TensorFlow", subject=parts.model, expected=error.expected,
            got=f"{error.got}, {error.subject}", hint="is there a random number in the model, or a result near a jump?",
        ) from error  # fmt: skip
    if metadata["precision"] == "float32":
        metadata["error_against_float64"] = _error_against_float64(library, parts)
    metadata["place_dependence"] = _place_dependence(library, parts)
    _build(folder, parts, metadata)
    NativeLibrary(folder).verify()
    for target in parts.targets[:-1]:
        _check_target(folder / "lib" / f"lib{parts.name}.so", parts, target)


def _build(folder: Path, parts: LibraryParts, metadata: dict[str, Any]) -> None:
    text = json.dumps(metadata, indent=2)
    (folder / "share" / parts.name / "metadata.json").write_text(text + "\n")
    write_files(folder, write_sources(_sources(parts, text)))
    large = constants_source(folder).suffix == ".S"
    write_files(folder, write_clients(_clients(parts, large)) | write_python_module(metadata))
    if (extension := python_extension(parts.tools)).binary is not None:
        (folder / EXTENSION).unlink(missing_ok=True)  # a process that has loaded it keeps the old file
        (folder / EXTENSION).write_bytes(extension.binary)
    objects = [_compiled(folder, parts, stem) for stem in (parts.name, "record", "constants")]
    objects += [folder / "src" / name for name in _object_names(parts)]
    link_shared(parts.tools, objects, folder / "lib" / f"lib{parts.name}.so", parts.name, libm=_needs_libm(parts))
    archive(parts.tools, objects, folder / "lib" / f"lib{parts.name}.a", _public(parts))
    write_checksums(folder)


def _compiled(folder: Path, parts: LibraryParts, stem: str) -> Path:
    """The object of a source file; the weights, whose compilation can take long, are compiled once."""
    output = parts.work / f"{stem}.driver.o"
    source = constants_source(folder) if stem == "constants" else folder / "src" / f"{stem}.c"
    if stem != "constants" or not output.exists():
        compile_c(parts.tools, source, folder / "include", output)
    return output


def _sources(parts: LibraryParts, metadata: str) -> Sources:
    derivatives = [f.entry.kind for f in parts.functions if f.entry.kind != "value"]
    return Sources(
        name=parts.name,
        version=__version__,
        summary=f"the model {parts.model}" + (f" and its {', '.join(derivatives)}" if derivatives else ""),
        functions=parts.functions,
        targets=parts.targets,
        objects=_object_names(parts),
        vectors=_selftest_points(parts),
        tolerance=TOLERANCE[_precision(parts)],
        small=SMALL[_precision(parts)],
        ranges=parts.ranges,
        metadata=metadata,
        needs_libm=_needs_libm(parts),
        assembler=assembles(parts.tools),
    )


def _clients(parts: LibraryParts, large: bool) -> Clients:
    return Clients(
        name=parts.name,
        version=__version__,
        entries=tuple(f.entry for f in parts.functions),
        shared=f"lib/lib{parts.name}.so",
        static=f"lib/lib{parts.name}.a",
        libm=_needs_libm(parts),
        large=large,
    )


def _selftest_points(parts: LibraryParts) -> dict[str, np.ndarray]:
    """The points that fit into some kilobytes, at most a tile and one more."""
    bytes_a_point = sum(array[0].nbytes for array in parts.vectors.values())
    tile = max(f.largest_tile for f in parts.functions)
    count = max(1, min(tile + 1, _SELFTEST_BYTES // bytes_a_point))
    return {name: array[:count] for name, array in parts.vectors.items()}


def _metadata(parts: LibraryParts) -> dict[str, Any]:
    ports = {p.name: p for f in parts.functions for p in (*f.entry.inputs, *f.entry.outputs)}
    x, y = parts.functions[0].entry.inputs[0], parts.functions[0].entry.outputs[0]
    return {
        "schema": 1,
        "abi_version": ABI_VERSION,
        "name": parts.name,
        "model": parts.model,
        "dtype": y.dtype,
        "inputs": [_port(x)],
        "outputs": [_port(y)],
        "arrays": [_port(p) for p in ports.values()],
        "functions": [_function(f, parts.targets) for f in parts.functions],
        "ranges": {name: [low.tolist(), high.tolist()] for name, (low, high) in parts.ranges.items()},
        "precision": _precision(parts),
        "targets": [
            {"name": t.name, "triple": t.triple, "cpu": t.cpu or "baseline", "features": t.features}
            for t in parts.targets
        ],
        "weights_sha256": parts.weights_sha256,
        "tolerance": TOLERANCE[_precision(parts)],
        "versions": {
            "tfgradkit": __version__,
            "tensorflow": tensorflow_version(),
            "keras": packages.version("keras"),
            "c_compiler": compiler_version(parts.tools),
        },
        "python_extension": python_extension(parts.tools).described(),
        "files": {
            "header": f"include/{parts.name}.h",
            "shared": f"lib/lib{parts.name}.so",
            "static": f"lib/lib{parts.name}.a",
            "vectors": f"share/{parts.name}/testvectors.npz",
            **({"vectors_float64": f"share/{parts.name}/{_WIDE_VECTORS}"} if parts.wide.results else {}),
        },
    }


def _function(function: CompiledFunction, targets: tuple[Target, ...]) -> dict[str, Any]:
    return {
        "kind": function.entry.kind,
        "inputs": [p.name for p in function.entry.inputs],
        "outputs": [p.name for p in function.entry.outputs],
        "flops": function.flops,
        "sweeps": [{"mode": step.mode, "passes": step.passes} for step in function.sweeps],
        "tile_points": {t.name: pair.tile_points for t, pair in zip(targets, function.pairs, strict=True)},
    }


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "shape": list(port.shape), "dtype": port.dtype}


def _precision(parts: LibraryParts) -> str:
    """The dtype whose tolerance the results must meet: the coarser one where a library has both."""
    dtypes = {p.dtype for f in parts.functions for p in (*f.entry.inputs, *f.entry.outputs)}
    return "float32" if "float32" in dtypes else "float64"


def _kernel_names(parts: LibraryParts) -> tuple[str, ...]:
    """The objects that the graph compiler wrote."""
    return tuple(f"{program.name}.o" for f in parts.functions for program in f.programs)


def _object_names(parts: LibraryParts) -> tuple[str, ...]:
    """These, and the product kernels of each target that needs them."""
    targets = {f"{parts.name}_{target.label}_": target for target in parts.targets}
    return _kernel_names(parts) + tuple(
        compile_products(parts.tools, parts.work, prefix, dtypes, targets[prefix])
        for prefix, dtypes in product_kernels(parts.functions).items()
    )


def _public(parts: LibraryParts) -> list[str]:
    kinds = [f.entry.kind for f in parts.functions]
    return [f"{parts.name}_{function}" for function in (*kinds, *_FUNCTIONS)]


def _needs_libm(parts: LibraryParts) -> bool:
    return any(needs_libm(parts.work / name) for name in _kernel_names(parts))


def _copy_kernels(folder: Path, parts: LibraryParts) -> None:
    (folder / "src").mkdir()
    for name in _object_names(parts):
        shutil.copyfile(parts.work / name, folder / "src" / name)
    if product_kernels(parts.functions):
        for header in PRODUCT_HEADERS:
            (folder / "src" / header).write_text(template("export", header))
        for name in set(_object_names(parts)) - set(_kernel_names(parts)):
            # Not beside the objects: who compiles all that is there would have each kernel twice.
            (folder / "src" / "products").mkdir(exist_ok=True)
            source = Path(name).with_suffix(".c")
            shutil.copyfile(parts.work / source, folder / "src" / "products" / source)


def _copy_licenses(folder: Path) -> None:
    (folder / "LICENSES").mkdir()
    (folder / "LICENSES" / "Apache-2.0.txt").write_text(template("export", "Apache-2.0.txt"), encoding="utf-8")


def _error_against_float64(library: NativeLibrary, parts: LibraryParts) -> dict[str, Any]:
    """What rounding to float32 costs at the recorded points, and why it isn't known where it isn't."""
    errors = library.errors_against_float64()
    inputs = [parts.vectors[port.name] for port in parts.functions[0].entry.inputs]
    rows = np.concatenate([array.reshape(len(array), -1).astype(np.float64) for array in inputs], axis=1)
    return {
        "points": len(np.unique(rows, axis=0)),
        "relative": {name: error.relative for name, error in errors.items()},
        "absolute": {name: error.absolute for name, error in errors.items()},
        "not_evaluated": parts.wide.not_evaluated,
    }


def _place_dependence(library: NativeLibrary, parts: LibraryParts) -> float:
    """The largest difference of a point's results between places in the batch: each point is tried at each place."""
    worst = 0.0
    for function in parts.functions:
        kind = function.entry.kind
        inputs = [parts.vectors[port.name] for port in function.entry.inputs]
        alone = [
            np.stack(results)
            for results in zip(*(library.call(kind, *row) for row in zip(*inputs, strict=True)), strict=True)
        ]
        for shift in range(len(inputs[0])):
            together = library.call(kind, *(np.roll(array, shift, 0) for array in inputs))
            worst = max(worst, *(relative_error(t, np.roll(a, shift, 0)) for t, a in zip(together, alone, strict=True)))
    return worst


def _check_target(library: Path, parts: LibraryParts, target: Target) -> None:
    """Runs the self-test with the kernels of a target that is not the best here: a library chooses once a process."""
    environment = {**os.environ, f"{parts.name.upper()}_TARGET": target.name}
    call = "import ctypes, sys; print(getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2] + '_selftest')(None))"
    command = [sys.executable, "-S", "-c", call, str(library), parts.name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.stdout.strip() != "0":
        raise LibraryError(
            "the compiled model computes something else than TensorFlow", subject=f"{parts.model} for {target.name}",
            expected=f"{parts.name}_selftest() = 0", got=done.stdout.strip() or f"exit code {done.returncode}",
        )  # fmt: skip
