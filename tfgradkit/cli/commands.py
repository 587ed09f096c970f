"""The commands that show and export a model: ``show``, ``export``, ``compile``, ``verify``.

Each command imports the library inside, so that ``--help`` answers without TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..export.functions.interface import KINDS
from .console import import_tensorflow, print_fields, print_lines, print_success, print_table, progress
from .model_options import Numbers, load_model, model_options, range_options, ranges

if TYPE_CHECKING:
    from ..native.loaded_library import Library

_ERRORS = ("against TensorFlow", "against float64", "absolute")
_derivatives = click.option(
    "--derivative",
    "derivatives",
    multiple=True,
    type=click.Choice(list(KINDS)),
    default=("jacobian",),
    show_default=True,
    help="A kind of derivative; repeat it for several. The value is always there.",
)
_overwrite = click.option("--overwrite", is_flag=True, help="Replace an earlier export in the output folder.")


@click.command("show")
@click.argument("model")
@model_options
def show_command(model: str, inputs: tuple[str, ...], outputs: tuple[str, ...], signature: str | None) -> None:
    """What MODEL takes and returns, and what it can be exported to."""
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        from ..export.model_summary import summarize

        fn = load_model(model, inputs, outputs, signature)
        step("tracing")
        summary = summarize(fn)
    print_fields(
        {
            "model": summary.name,
            "input": summary.input,
            "output": summary.output,
            "parameters": f"{summary.parameters:,}",
            "ops": ", ".join(f"{count} {op}" for op, count in summary.ops),
        }
    )
    print_table(
        ("derivative", "SavedModel", "C library"), [(kind, *answers) for kind, answers in summary.exports.items()]
    )


@click.command("export")
@click.argument("model")
@click.option("--output", required=True, type=click.Path(), help="The SavedModel folder to write.")
@_derivatives
@click.option("--batch", type=click.IntRange(min=1), help="A fixed batch size; any, if left out.")
@_overwrite
@model_options
def export_command(
    model: str,
    output: str,
    derivatives: tuple[str, ...],
    batch: int | None,
    overwrite: bool,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    signature: str | None,
) -> None:
    """Write MODEL and its derivatives as a SavedModel, a signature each."""
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        from ..export.export_saved_model import export_saved_model

        fn = load_model(model, inputs, outputs, signature)
        export_saved_model(fn, output, derivatives, batch=batch, overwrite=overwrite, progress=step)
    print_success(f"wrote {output}")


@click.command("compile")
@click.argument("model")
@click.option("--output", required=True, type=click.Path(), help="The folder to write.")
@click.option("--name", required=True, help="Prefix of the C functions and files.")
@_derivatives
@range_options("the range the model is made for")
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=("host",),
    show_default=True,
    help="x86-64, x86-64-v2, x86-64-v3, x86-64-v4, or host: all of them that pay here. Repeat it for several: "
    "the library takes the best that the processor has.",
)
@click.option("--tile", type=int, help="Points evaluated at once; chosen by measuring, if left out.")
@_overwrite
@model_options
def compile_command(
    model: str,
    output: str,
    name: str,
    derivatives: tuple[str, ...],
    low: Numbers,
    high: Numbers,
    targets: tuple[str, ...],
    tile: int | None,
    overwrite: bool,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    signature: str | None,
) -> None:
    """Write MODEL and its derivatives as a C library that needs no TensorFlow."""
    within = ranges(low, high)
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        from ..export.native.export_native import export_native

        fn = load_model(model, inputs, outputs, signature)
        library = export_native(
            fn, output, name, derivatives, targets=targets, ranges=within, tile=tile, overwrite=overwrite,
            progress=step,
        )  # fmt: skip
    worst = max(library.metadata["achieved_error"].values())
    print_success(f"wrote {output}: {', '.join(library.kinds)}; largest relative error against TensorFlow {worst:.1e}")


@click.command("verify")
@click.argument("folder", type=click.Path())
def verify_command(folder: str) -> None:
    """Run a compiled library at its recorded points and compare with the recorded answers."""
    from ..native import load_native

    library = load_native(folder)
    rounding = library.metadata.get("error_against_float64")  # of libraries that have float32
    if rounding is None:
        errors = library.verify()
        print_table(("result", "largest relative error"), [(name, f"{error:.1e}") for name, error in errors.items()])
    else:
        print_table(("result", *_ERRORS), _verified(library))
        print_lines(
            f"The largest errors at {rounding['points']} points, relative to a component's largest magnitude; "
            "the last column is against float64, too, but absolute."
        )
        for kind, reason in rounding["not_evaluated"].items():
            print_lines(f"{kind} could not be evaluated in float64: {reason}")
    print_success(f"{library.name}: within {library.metadata['tolerance']:g}")


def _verified(library: Library) -> list[tuple[str, ...]]:
    """The errors of each result against TensorFlow, and against the same network in float64."""
    wide = library.errors_against_float64()
    rows = []
    for name, error in library.verify().items():
        rounding = [f"{number:.1e}" for number in wide[name]] if name in wide else ["unknown", ""]
        rows.append((name, f"{error:.1e}", *rounding))
    return rows
