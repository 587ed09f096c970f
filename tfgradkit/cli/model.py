"""The argument MODEL, and the options that say which part of a file it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

Command = Callable[..., Any]


def model_options(command: Command) -> Command:
    """``--inputs``, ``--outputs`` and ``--signature``, for :func:`load_model`."""
    for option in (
        click.option("--signature", metavar="KEY", help="Of a SavedModel with several."),
        click.option(
            "--outputs", multiple=True, metavar="TENSOR", help="Of a .meta or .pb file, as OP:0; repeat it for several."
        ),
        click.option(
            "--inputs", multiple=True, metavar="TENSOR", help="Of a .meta or .pb file, as OP:0; repeat it for several."
        ),
    ):
        command = option(command)
    return command


def load_model(model: str, inputs: Sequence[str], outputs: Sequence[str], signature: str | None) -> Any:
    """What MODEL and its options name.

    Raises:
        UsageError: inputs without outputs, or together with a signature's key.
        ModelFileError, SignatureError, SourceError: as ``load`` raises them.
    """
    from ..sources.load import load

    if bool(inputs) != bool(outputs) or (inputs and signature):
        raise click.UsageError("--inputs and --outputs go together, without --signature")
    return load(model, signature={"inputs": list(inputs), "outputs": list(outputs)} if inputs else signature)
