"""``tfgradkit check``: a model's derivatives against differences."""

from __future__ import annotations

import click

from .bounds import Numbers, range_options, ranges
from .model import load_model, model_options
from .quiet import import_tensorflow
from .render import progress, success, table


@click.command("check")
@click.argument("model")
@click.option("--order", type=click.IntRange(1, 2), default=1, show_default=True, help="2 for second derivatives, too.")
@click.option("--samples", type=click.IntRange(min=1), default=4, show_default=True, help="Random points.")
@range_options("the range of the points, which are standard normal without")
@model_options
@click.pass_context
def check_command(
    context: click.Context,
    model: str,
    order: int,
    samples: int,
    low: Numbers,
    high: Numbers,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    signature: str | None,
) -> None:
    """Compare MODEL's derivatives with differences, at random points.

    Exit code 1 where a derivative is wrong.
    """
    within = ranges(low, high)
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        from ..diagnose.check import check_gradients
        from ..diagnose.random_inputs import random_inputs

        fn = load_model(model, inputs, outputs, signature)
        step("differentiating")
        points = random_inputs(fn, samples, within)
        check = check_gradients(fn, *points, order=order)
    table(
        ("order", "compared with", "of", "digits", "is"),
        [(str(f.order), f.method, f.place, f"{f.digits:.1f}", f.status) for f in check.findings],
    )
    success(str(check).splitlines()[0] + (f"\n{check.note}" if check.note else ""))
    context.exit(1 if check.status == "wrong" else 0)
