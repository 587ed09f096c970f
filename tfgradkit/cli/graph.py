"""``tfgradkit graph``: the tree of a model or of its derivative, simplified, and its structure."""

from __future__ import annotations

from typing import Any

import click

from .model import load_model, model_options
from .quiet import import_tensorflow
from .render import lines, progress

_KINDS = ("gradient", "jacobian", "hessian")


@click.command("graph")
@click.argument("model")
@click.option("--derivative", type=click.Choice(_KINDS), help="Of this derivative instead of the model itself.")
@click.option("--simplify", is_flag=True, help="Count the ops before and after simplification, and show what is left.")
@click.option("--structure", is_flag=True, help="Say which blocks of the derivative are zero, constant, banded, …")
@click.option("--depth", type=click.IntRange(min=1), default=12, show_default=True, help="Levels shown.")
@click.option("--size", type=click.IntRange(min=1), default=100, show_default=True, help="Lines shown.")
@model_options
def graph_command(
    model: str,
    derivative: str | None,
    simplify: bool,
    structure: bool,
    depth: int,
    size: int,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    signature: str | None,
) -> None:
    """The ops of MODEL, or of its derivative, as a tree: results first, what they are made of below."""
    if structure and derivative is None:
        raise click.UsageError("--structure is that of a derivative: add --derivative jacobian")
    with progress() as step:
        step("loading TensorFlow")
        import_tensorflow()
        step("loading the model")
        fn = load_model(model, inputs, outputs, signature)
        step("tracing")
        text = _text(fn, derivative, simplify, structure, depth, size)
    lines(text)


def _text(fn: Any, kind: str | None, simplify: bool, structure: bool, depth: int, size: int) -> str:
    from ..derivatives.derivative import Derivative
    from ..derivatives.operators import gradient, hessian, jacobian
    from ..diagnose.structure import structure as structure_of
    from ..graph.simplify import simplified
    from ..graph.summary import summarized
    from ..graph.tree import graph_tree

    shown: Any = fn if kind is None else {"gradient": gradient, "jacobian": jacobian, "hessian": hessian}[kind](fn)
    texts = []
    if simplify:
        found = simplified(shown)
        summary = summarized(found)
        left = [] if summary.is_constant else [graph_tree(found.concrete, depth=depth, size=size)]
        texts += [str(summary), *left]
    elif not structure:
        texts.append(graph_tree(shown, depth=depth, size=size))
    if structure and isinstance(shown, Derivative):
        texts.append(str(structure_of(shown)))
    return "\n\n".join(texts)
