"""``export_native``: from a model to a C library. Each step hands plain records to the next."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...differentiable import Differentiable
from ...errors import ExportError, UnsupportedModelError
from ...native import NativeLibrary, load_native
from ...sources.resolve import resolve
from ...tensorflow_version import require_tensorflow
from ..functions.entries import describe
from ..functions.interface import Entry, check_kinds, check_library_name, foreign_dtypes
from ..functions.tf_functions import with_specs
from .compile.compile import CompilationPlan, compile_functions
from .compile.targets import choose_targets
from .compile.tile_size import check_tile
from .compile.toolchain import working_toolchain
from .library.atomic_folder import output_folder
from .library.c_library import MARKER, LibraryParts, write_library
from .library.float64_reference import float64_reference
from .library.recorded_points import check_ranges, record_points
from .library.table_indices import table_ranges

Progress = Callable[[str], None]
# At how many points a library is tested at least; two full tiles and a part of one are among them.
_TESTED_POINTS = 64


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
    tile: int | None = None,
    overwrite: bool = False,
    progress: Progress = lambda step: None,
) -> NativeLibrary:
    """Writes a C library of the model and its derivatives that needs no TensorFlow.

    Args:
        fn: a Keras model or layer, or a function with ``input_specs``; any number of inputs and outputs. Derivatives
            are by the floating inputs; those of integers and booleans are held fixed.
        path: the folder to write; must not exist or be empty.
        name: prefix of the C functions and of the files.
        derivatives: of "jacobian", "vjp", "jvp", "gradient", "hessian", "hvp"; "value" is always there.
        targets: what to make code for: "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4" (the levels of the
            System V ABI). With several the library picks the best that the processor has, at run time.
            "host" stands for those that this machine runs: the baseline, v3 (AVX2, FMA) and v4 (AVX-512).
        input_specs: a ``tf.TensorSpec`` for each input where the function has none of its own.
        input_names: a name for each input, in place of "x" or the model's own.
        output_names: a name for each output, in place of "y" or the model's own.
        ranges: ``{"x": (low, high)}``; the library reports inputs outside, and is tested inside. An integer input
            that is an index of a table, as of an embedding, has the table's places for a range of its own: the
            library reports others, where TensorFlow raises an error and XLA silently takes the nearest place.
        variables: weights to keep changeable; none yet.
        tile: how many points are evaluated at once where there are many. None: for the best target the
            fastest of a few, by measuring here; another size must be clearly faster than the usual one,
            so that the same model exports to the same bytes. The metadata say what was taken.
        overwrite: replace an earlier export in ``path``.
        progress: is told each step's name.

    Returns:
        The library, loaded.

    Raises:
        UnsupportedModelError: a layer or op that can't be compiled, before anything is.
        OutputFolderError: the folder exists, isn't empty, or can't be written.
        SignatureError: no such derivative, target, name, range or tile, or no specs.
        SourceError: ``fn`` is no function or model.
        GradientError: a derivative does not exist.
        ToolchainError: there is no C compiler, or it failed.
        CompilerError: the graph compiler failed.
        VersionError: this version of TensorFlow is not supported.
        ExportError: anything else. Nothing is left behind.

    Example:
        >>> library = tgk.export_native(model, folder / "eos", "eos")  # doctest: +SKIP
        >>> y, J = library.value_and_jacobian(x)  # doctest: +SKIP
    """
    require_tensorflow()
    chosen = choose_targets(targets)
    _check_options(variables)
    check_tile(tile)
    kinds = check_kinds(tuple(derivatives) if not isinstance(derivatives, str) else (derivatives,))
    check_library_name(name)
    tools = working_toolchain()
    with output_folder(path, overwrite=overwrite, marker=MARKER) as folder, tempfile.TemporaryDirectory() as work:
        progress("tracing")
        source = with_specs(resolve(fn), input_specs)
        entries = describe(source, kinds, input_names, output_names)
        _check_dtypes(source, entries[0])
        bounds = check_ranges(ranges, entries[0].inputs, table_ranges(source, entries[0]))
        functions = compile_functions(source, entries, CompilationPlan(name, chosen, tile, Path(work), tools), progress)
        weights = _weights_hash(resolve(fn))  # again: a model may have been built by the tracing
        progress("recording test points")
        count = max(_TESTED_POINTS, 2 * max(f.largest_tile for f in functions)) + 3
        traced: dict[str, Any] = {}
        vectors = record_points(source, entries, bounds, count, traced=traced)
        wide = float64_reference(entries, traced, vectors, source.batched)
        progress("building the library")
        write_library(
            folder,
            LibraryParts(name, source.name, functions, chosen, vectors, wide, bounds, weights, Path(work), tools),
        )
    return load_native(path)


def _weights_hash(source: Differentiable) -> str:
    """SHA-256 over shape, dtype and bytes of each variable, in order."""
    digest = hashlib.sha256()
    for variable in source.variables:
        array = variable.numpy()
        digest.update(f"{array.shape} {array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()


def _check_dtypes(source: Differentiable, entry: Entry) -> None:
    if reason := foreign_dtypes(entry):
        raise UnsupportedModelError(
            "the model's dtypes can't be exported to C",
            subject=source.name,
            expected="float32 or float64; as inputs integers and booleans, too",
            got=reason,
        )


def _check_options(variables: Sequence[Any]) -> None:
    if tuple(variables):
        raise ExportError(
            "weights can't be kept changeable yet",
            subject="variables",
            expected="()",
            hint="export again after training",
        )
