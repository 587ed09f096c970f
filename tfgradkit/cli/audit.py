"""``tfgradkit audit``: what stands in the way of a model's derivatives."""

from __future__ import annotations

import click

from .model import load_model, model_options
from .quiet import import_tensorflow
from .render import fields, progress, success


@click.command("audit")
@click.argument("model")
@click.option("--order", type=click.IntRange(1, 2), default=1, show_default=True, help="Of the derivatives.")
@click.option(
    "--target",
    type=click.Choice(("eager", "xla", "native")),
    default="eager",
    show_default=True,
    help="Where they are to run: TensorFlow, compiled by XLA, or the C library.",
)
@click.option(
    "--wrt",
    type=click.Choice(("inputs", "parameters")),
    default="inputs",
    show_default=True,
    help="By what is differentiated.",
)
@model_options
@click.pass_context
def audit_command(
    context: click.Context,
    model: str,
    order: int,
    target: str,
    wrt: str,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    signature: str | None,
) -> None:
    """What stands in the way of MODEL's derivatives, before anything runs.

    Exit code 1 where something fails.
    """
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        from ..diagnose.audit import audit

        fn = load_model(model, inputs, outputs, signature)
        step("looking through its graph")
        found = audit(fn, order=order, target=target, wrt=wrt)  # type: ignore[arg-type]
    for obstacle in found:
        fields(obstacle.facts())
    if found.incomplete:
        fields({"note": found.incomplete})
    success(found.summary)
    context.exit(0 if found.ok else 1)
