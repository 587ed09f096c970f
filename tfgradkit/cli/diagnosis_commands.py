"""The commands that diagnose a model: ``explain``, ``audit``, ``check``, ``graph``, ``report``.

Each command imports the library inside, so that ``--help`` answers without TensorFlow.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from .console import import_tensorflow, print_fields, print_lines, print_success, print_table, progress
from .model_options import Numbers, load_model, model_options, range_options, ranges


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
        from ..diagnose.explain.explain import explain

        fn = load_model(model, inputs, outputs, signature)
        step("differentiating")
        explanation = explain(fn, wrt=wrt)
    print_success(str(explanation))
    if not explanation.ok:
        sys.exit(1)


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
        from ..diagnose.audit.audit import audit

        fn = load_model(model, inputs, outputs, signature)
        step("looking through its graph")
        result = audit(fn, order=order, target=target, wrt=wrt)  # type: ignore[arg-type]
    for obstacle in result:
        print_fields(obstacle.facts())
    if result.incomplete:
        print_fields({"note": result.incomplete})
    print_success(result.summary)
    context.exit(0 if result.ok else 1)


@click.command("check")
@click.argument("model")
@click.option("--order", type=click.IntRange(1, 2), default=1, show_default=True, help="2 for second derivatives, too.")
@click.option("--samples", type=click.IntRange(min=1), default=4, show_default=True, help="Random points.")
@click.option("--seed", type=click.IntRange(min=0), help="Other random points; without, the same every time.")
@range_options("the range of the points, which are standard normal without")
@model_options
@click.pass_context
def check_command(
    context: click.Context,
    model: str,
    order: int,
    samples: int,
    seed: int | None,
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
        from ..diagnose.check.check_gradients import check_gradients
        from ..diagnose.random_inputs import random_inputs

        fn = load_model(model, inputs, outputs, signature)
        step("differentiating")
        points = random_inputs(fn, samples, within, seed)
        check = check_gradients(fn, *points, order=order)
    print_table(
        ("order", "compared with", "of", "digits", "is"),
        [(str(f.order), f.method, f.place, f"{f.digits:.1f}", f.status) for f in check.findings],
    )
    print_success(str(check).splitlines()[0] + (f"\n{check.note}" if check.note else ""))
    context.exit(1 if check.status == "wrong" else 0)


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
    print_lines(text)


def _text(fn: Any, kind: str | None, simplify: bool, structure: bool, depth: int, size: int) -> str:
    from ..derivatives.derivative import Derivative
    from ..derivatives.operators import gradient, hessian, jacobian
    from ..diagnose.graph.graph_summary import summarized
    from ..diagnose.graph.graph_tree import graph_tree
    from ..diagnose.graph.simplify import simplified
    from ..diagnose.structure.structure import structure as structure_of

    shown: Any = fn if kind is None else {"gradient": gradient, "jacobian": jacobian, "hessian": hessian}[kind](fn)
    texts = []
    if simplify:
        simple = simplified(shown)
        summary = summarized(simple)
        tree = [] if summary.is_constant else [graph_tree(simple.concrete, depth=depth, size=size)]
        texts += [str(summary), *tree]
    elif not structure:
        texts.append(graph_tree(shown, depth=depth, size=size))
    if structure and isinstance(shown, Derivative):
        texts.append(str(structure_of(shown)))
    return "\n\n".join(texts)


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
    print_success(f"wrote {output}")
