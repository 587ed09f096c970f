"""The argument MODEL and its options: the part of a file, and the ranges of its inputs.

A range is ``--low 660,1 --high 1100,500``, or with a name ``--low left=-1,-2``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

Command = Callable[..., Any]
Numbers = Mapping[str, list[float]]


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
    """The function that MODEL and its options name.

    Raises:
        UsageError: inputs without outputs, or together with a signature's key.
        ModelFileError, SignatureError, SourceError: as ``load`` raises them.
    """
    from ..sources.load import load

    if bool(inputs) != bool(outputs) or (inputs and signature):
        raise click.UsageError("--inputs and --outputs go together, without --signature")
    return load(model, signature={"inputs": list(inputs), "outputs": list(outputs)} if inputs else signature)


def range_options(meaning: str) -> Callable[[Command], Command]:
    """``--low`` and ``--high``, for :func:`ranges`; ``meaning`` says what the range is."""
    lowest = (
        f"Lowest input, comma-separated; with --high, {meaning}. NAME=NUMBERS, once for each input, where the "
        "model has several."
    )

    def decorate(command: Command) -> Command:
        command = click.option("--high", multiple=True, callback=_named, help="Highest input, in the same way.")(
            command
        )
        return click.option("--low", multiple=True, callback=_named, help=lowest)(command)

    return decorate


def ranges(low: Numbers, high: Numbers) -> dict[str, tuple[list[float], list[float]]]:
    """The range of each input.

    Raises:
        UsageError: one bound without the other.
    """
    if low.keys() != high.keys():
        raise click.UsageError("--low and --high go together, for the same inputs")
    return {name: (low[name], high[name]) for name in low}


def _named(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[float]]:
    """Numbers by the name of their input; a model's only input is "x"."""
    named = [text.partition("=") if "=" in text else ("x", "=", text) for text in texts]
    if len({name for name, _, _ in named}) != len(named):
        raise click.BadParameter("given twice for one input")
    return {name: _numbers(numbers) for name, _, numbers in named}


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 660,1") from error
