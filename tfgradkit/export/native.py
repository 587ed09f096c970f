"""``export_native``: from a model to a C library. Each step hands plain records to the next."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..differentiable import Differentiable
from ..errors import CompilerError, ExportError, UnsupportedModelError
from ..native import NativeLibrary, load_native
from ..sources.resolve import resolve
from .audit import audit_native
from .canonical import canonicalize
from .driver import Compiled
from .entries import describe
from .folder import output_folder
from .freeze import FrozenGraph, freeze
from .functions import argument_specs, exported
from .header import read_header
from .host import host_target
from .interface import Entry, check_kinds, check_library_name
from .library import MARKER, Parts, write_library
from .objects import read_constants
from .points import check_ranges, record
from .program import Program
from .specs import with_specs
from .tfcompile import compile_jobs, prepare
from .toolchain import working_toolchain
from .versions import require_tensorflow

Progress = Callable[[str], None]
# Points of a tile: enough for full vectors in every product, few enough to stay in the cache.
_TILE = 32
_TILE_BYTES = 1 << 19


def export_native(
    fn: Any,
    path: str | os.PathLike[str],
    name: str,
    derivatives: Sequence[str] = ("jacobian",),
    *,
    targets: Sequence[str] = ("host",),
    input_specs: Any = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    ranges: Mapping[str, Any] | None = None,
    variables: Sequence[Any] = (),
    overwrite: bool = False,
    progress: Progress = lambda step: None,
) -> NativeLibrary:
    """Writes a C library of the model and its derivatives that needs no TensorFlow.

    Args:
        fn: a Keras model or layer, or a function with ``input_specs``; any number of inputs and outputs.
        path: the folder to write; must not exist or be empty.
        name: prefix of the C functions and of the files.
        derivatives: of "jacobian", "vjp", "jvp", "gradient", "hessian", "hvp"; "value" is always there.
        targets: ("host",): code for this machine.
        input_specs: ``tf.TensorSpec``s of the inputs where the function has none of its own.
        input_names, output_names: a name for each, in place of "x" and "y" or the model's own.
        ranges: ``{"x": (low, high)}``; the library reports inputs outside, and is tested inside.
        variables: weights to keep changeable; none yet.
        overwrite: replace an earlier export in ``path``.
        progress: is told each step's name.

    Returns:
        The library, loaded.

    Raises:
        UnsupportedModelError: a layer or op that can't be compiled, before anything is.
        OutputFolderError, ToolchainError, CompilerError, SignatureError, VersionError: see there.
    """
    require_tensorflow()
    _check_options(targets, variables)
    kinds = check_kinds(tuple(derivatives) if not isinstance(derivatives, str) else (derivatives,))
    check_library_name(name)
    tools = working_toolchain()
    with output_folder(path, overwrite=overwrite, marker=MARKER) as folder, tempfile.TemporaryDirectory() as work:
        progress("tracing")
        source = with_specs(resolve(fn), input_specs)
        entries = describe(source, kinds, input_names, output_names)
        _check_dtypes(source, entries[0])
        bounds = check_ranges(ranges, entries[0].inputs)
        functions = _compile(source, entries, name, Path(work), progress)
        weights = _weights_hash(resolve(fn))  # again: a model may have been built by the tracing
        progress("recording test points")
        vectors = record(source, entries, bounds, 2 * functions[0].tile_points + 3)
        progress("building the library")
        write_library(folder, Parts(name, source.name, functions, vectors, bounds, weights, Path(work), tools))
    return load_native(path)


def _weights_hash(source: Differentiable) -> str:
    """SHA-256 over shape, dtype and bytes of each variable, in order."""
    digest = hashlib.sha256()
    for variable in source.variables:
        array = variable.numpy()
        digest.update(f"{array.shape} {array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()


def _compile(
    source: Differentiable, entries: tuple[Entry, ...], name: str, work: Path, progress: Progress
) -> tuple[Compiled, ...]:
    tile = _tile_points(entries)
    target = host_target()
    plans = [(e, points, f"{name}_{e.kind}_{points}") for e in entries for points in (1, tile)]
    jobs = [prepare(work, label, _graph(source, e, points), target) for e, points, label in plans]
    compile_jobs(work, jobs, lambda label: progress(f"compiling {label}"))
    programs = {label: _program(work, label) for _, _, label in plans}
    return tuple(
        Compiled(e, programs[f"{name}_{e.kind}_1"], programs[f"{name}_{e.kind}_{tile}"], tile) for e in entries
    )


def _graph(source: Differentiable, entry: Entry, points: int) -> FrozenGraph:
    frozen = freeze(exported(source, entry), argument_specs(entry, points))
    audit_native(frozen.graph, source.layer_names, source.name)
    return replace(frozen, graph=canonicalize(frozen.graph))


def _program(work: Path, label: str) -> Program:
    header = work / f"{label}.h"
    if not header.exists():
        raise CompilerError("the graph compiler wrote nothing", subject=label, expected=header.name)
    program = read_header(header.read_text(), label)
    numbers = [i for i, buffer in enumerate(program.buffers) if buffer.kind == "constant"]
    constants = work / f"{label}_constants.o"
    contents = read_constants(constants.read_bytes() if constants.exists() else b"", label)
    if [len(content) for content in contents] != [program.buffers[i].size for i in numbers]:
        raise CompilerError("the compiler's constants don't fit its list of buffers", subject=label)
    return replace(program, constants=dict(zip(numbers, contents, strict=True)))


def _tile_points(entries: tuple[Entry, ...]) -> int:
    """A power of two whose largest array fits the cache; at least 2."""
    largest = max(p.elements * p.item_bytes for e in entries for p in (*e.inputs, *e.outputs))
    tile = _TILE
    while tile > 2 and tile * largest > _TILE_BYTES:
        tile //= 2
    return tile


def _check_dtypes(source: Differentiable, entry: Entry) -> None:
    dtypes = [port.dtype for port in (*entry.inputs, *entry.outputs)]
    if set(dtypes) not in ({"float32"}, {"float64"}):
        raise UnsupportedModelError(
            "the model's dtypes can't be exported to C",
            subject=source.name,
            expected="float32 or float64, the same for input and output",
            got=f"input {dtypes[0]}, output {dtypes[-1]}",
        )


def _check_options(targets: Sequence[str], variables: Sequence[Any]) -> None:
    if isinstance(targets, str) or tuple(targets) != ("host",):
        raise ExportError(
            "only code for this machine can be made yet", subject="targets", expected='("host",)', got=repr(targets)
        )
    if tuple(variables):
        raise ExportError(
            "weights can't be kept changeable yet",
            subject="variables",
            expected="()",
            hint="export again after training",
        )
