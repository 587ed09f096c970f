"""``tfgradkit report``."""

from __future__ import annotations

import click

from .bounds import Numbers, range_options, ranges
from .model import load_model, model_options
from .quiet import import_tensorflow
from .render import progress, success


@click.command("report")
@click.argument("model")
@click.option("--output", required=True, type=click.Path(), help="The HTML file to write.")
@click.option("--library", type=click.Path(), help="A folder that `tfgradkit compile` wrote, to compare with MODEL.")
@range_options("where MODEL is looked at")
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
@model_options
def report_command(
    model: str,
    output: str,
    library: str | None,
    low: Numbers,
    high: Numbers,
    overwrite: bool,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    signature: str | None,
) -> None:
    """Write a page on MODEL's derivatives: what they are, whether they are right, and what they cost."""
    within = ranges(low, high)
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        from ..report.page import write_report

        fn = load_model(model, inputs, outputs, signature)
        write_report(fn, output, ranges=within, library=library, overwrite=overwrite, progress=step)
    success(f"wrote {output}")
