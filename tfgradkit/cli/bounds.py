"""Ranges of inputs on the command line: ``--low 660,1 --high 1100,500``, ``--low left=-1,-2``."""

from __future__ import annotations

import click


def bounds(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, list[float]]:
    """Numbers by the name of their input; "x" is what a model's only input is called."""
    named = [text.partition("=") if "=" in text else ("x", "=", text) for text in texts]
    if len({name for name, _, _ in named}) != len(named):
        raise click.BadParameter("given twice for one input")
    return {name: _numbers(numbers) for name, _, numbers in named}


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 660,1") from error
