"""How far a compiled library is from the model it was made of."""

from __future__ import annotations

import warnings

import numpy as np

from ...comparison import relative_error
from ...errors import LibraryError, TfGradKitError
from ...export.entries import describe
from ...export.interface import Entry
from ...export.points import check_ranges, record
from ...export.specs import with_specs
from ...native import NativeLibrary
from ..blocks import Block, Cell, Facts, Section, Text, Verdict, table
from ..context import Context
from ..numbers import count, short
from ..problems import problem

_SEED = 7  # other points than the recorded ones, whose seed is 0


def section(context: Context) -> Section:
    """The library at its recorded points, and against the model at others."""
    library = context.library
    if library is None:
        text = "No library was given: `--library FOLDER`, or library=, compares what `tfgradkit compile` wrote."
        return Section("parity", "Exported forms", (Text(text),), "no library given")
    targets = ", ".join(target["name"] for target in library.metadata["targets"])
    blocks: list[Block] = [
        Facts((("library", library.name), ("functions", ", ".join(library.kinds)), ("targets", targets)))
    ]
    recorded, verified = _recorded(library)
    compared, errors = _against_the_model(context, library)
    blocks += [*recorded, *compared]
    worst, tolerance = max(errors.values(), default=0.0), library.metadata["tolerance"]
    if not verified or not compared or not worst <= tolerance:
        return Section("parity", "Exported forms", tuple(blocks), "the library and the model differ", "bad")
    return Section("parity", "Exported forms", tuple(blocks), f"C library within {short(worst, 2)}", "good")


def _recorded(library: NativeLibrary) -> tuple[list[Block], bool]:
    """``.verify()``: the answers that were recorded when it was exported."""
    try:
        errors = library.verify()
    except LibraryError as error:
        return [problem("The library disagrees with its recorded answers", error)], False
    return [_table("Against the answers recorded at export", errors, library)], True


def _against_the_model(context: Context, library: NativeLibrary) -> tuple[list[Block], dict[str, float]]:
    """Every function of the library against the operator of its kind, at points drawn here."""
    try:
        source = with_specs(context.source, None)
        entries = describe(source, library.kinds, library.input_names, library.output_names)
        ranges = check_ranges(library.metadata.get("ranges") or None, entries[0].inputs)
        vectors = record(source, entries, ranges, context.limits.points, seed=_SEED)
        errors = {name: error for entry in entries for name, error in _errors(library, entry, vectors).items()}
    except (TfGradKitError, ValueError) as error:
        return [problem("The library can't be compared with this model", error)], {"": float("inf")}
    caption = f"Against this model, at {count(context.limits.points, 'other point')}"
    return [_table(caption, errors, library)], errors


def _errors(library: NativeLibrary, entry: Entry, vectors: dict[str, np.ndarray]) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a point outside the range is still compared
        results = library.call(entry.kind, *(vectors[port.name] for port in entry.inputs))
    precision = library.metadata["precision"]
    return {
        f"{entry.kind}.{port.name}": relative_error(result, vectors[port.name], precision)
        for port, result in zip(entry.outputs, results, strict=True)
    }


def _table(caption: str, errors: dict[str, float], library: NativeLibrary) -> Block:
    tolerance = library.metadata["tolerance"]
    rows = []
    for name, error in errors.items():
        verdict: Verdict = "good" if error <= tolerance else "bad"
        rows.append((name, short(error, 2), Cell("within" if verdict == "good" else "outside", verdict=verdict)))
    title = f"{caption}: largest relative errors, with a tolerance of {short(tolerance, 2)}"
    return table(title, ("result", "error", "tolerance"), rows, (1,))
