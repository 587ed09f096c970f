"""``tfgradkit report``."""

from __future__ import annotations

import click

from .bounds import bounds
from .model import load_model, model_options
from .quiet import import_tensorflow
from .render import progress, success


@click.command("report")
@click.argument("model")
@click.option("--output", required=True, type=click.Path(), help="The HTML file to write.")
@click.option("--library", type=click.Path(), help="A folder that `tfgradkit compile` wrote, to compare with MODEL.")
@click.option(
    "--low",
    multiple=True,
    callback=bounds,
    help="Lowest input, comma-separated; with --high, where MODEL is looked at. "
    "NAME=NUMBERS, once for each input, where the model has several.",
)
@click.option("--high", multiple=True, callback=bounds, help="Highest input, in the same way.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
@model_options
def report_command(
    model: str,
    output: str,
    library: str | None,
    low: dict[str, list[float]],
    high: dict[str, list[float]],
    overwrite: bool,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    signature: str | None,
) -> None:
    """Write a page on MODEL's derivatives: what they are, whether they are right, and what they cost."""
    if low.keys() != high.keys():
        raise click.UsageError("--low and --high go together, for the same inputs")
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        from ..report.page import write_report

        fn = load_model(model, inputs, outputs, signature)
        ranges = {name: (low[name], high[name]) for name in low}
        write_report(fn, output, ranges=ranges, library=library, overwrite=overwrite, progress=step)
    success(f"wrote {output}")
