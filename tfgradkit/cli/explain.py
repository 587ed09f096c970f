"""``tfgradkit explain``: which inputs and parameters of a model file its gradients reach."""

from __future__ import annotations

import sys

import click

from .model import load_model, model_options
from .quiet import import_tensorflow
from .render import progress, success


@click.command("explain")
@click.argument("model")
@click.option(
    "--wrt",
    type=click.Choice(["inputs", "parameters"]),
    default="inputs",
    show_default=True,
    help="What the gradients are taken by.",
)
@model_options
def explain_command(
    model: str, wrt: str, inputs: tuple[str, ...], outputs: tuple[str, ...], signature: str | None
) -> None:
    """Say which gradients of MODEL are None, zero or an error, and why; exit code 1 if there is one.

    Random numbers of the model's shapes go in.
    """
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        from ..diagnose.connections.explain import explain

        fn = load_model(model, inputs, outputs, signature)
        step("differentiating")
        explanation = explain(fn, wrt=wrt)
    success(str(explanation))
    if not explanation.ok:
        sys.exit(1)
