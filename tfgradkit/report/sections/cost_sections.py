"""The sections on costs and exports: each way to the Jacobian, measured, and a compiled library beside its model."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf

from ...comparison import relative_error
from ...derivatives.derivative import Derivative
from ...derivatives.operators import build
from ...derivatives.sweep.plan import Plan
from ...errors import LibraryError, TfGradKitError
from ...export.functions.entries import describe
from ...export.functions.interface import Entry
from ...export.functions.tf_functions import with_specs
from ...export.native.library.recorded_points import check_ranges, record_points
from ...native import NativeLibrary
from ..context import Context
from ..jacobians import floating_arguments
from ..page_parts import (
    FactList,
    PageBlock,
    PageSection,
    TableCell,
    Text,
    Verdict,
    amount,
    count,
    first_line,
    problem,
    short,
    table,
)

_MODES, _STRATEGIES = ("forward", "reverse"), ("vectorize", "tile", "loop")
# A call is repeated for so many seconds, and at least so often; a slow call less often.
_SECONDS, _CALLS = 0.1, 5
_SEED = 7  # the recorded points have the seed 0


@dataclass(frozen=True)
class Cost:
    """A way to the Jacobian with its cost, or with the reason why it fails.

    Attributes:
        seconds: the shortest call at all points; None after a failure.
        first: the seconds of the first call, which traces.
        failure: the reason, "" for none.
    """

    mode: str
    strategy: str
    compiled: bool
    plan: Plan | None = None
    seconds: float | None = None
    first: float | None = None
    failure: str = ""


def cost_section(context: Context) -> PageSection:
    """All ways with the fastest marked, and the choice of "auto"."""
    picked = floating_arguments(context.points)
    auto = build("jacobian", ("jacobian",), context.source, {"argnums": picked})
    first = _timed(auto, context.points.first(1))  # an error here fails the section; without one there is a plan
    points = _affordable(context, auto.plan)
    arguments = context.points.first(points)
    chosen = replace(_measured(auto, arguments, Cost("auto", "auto", False)), first=first)
    costs = [chosen, *_all(context, arguments, picked)]
    fastest = min((cost.seconds for cost in costs if cost.seconds is not None), default=None)
    limited = f", as many as {amount(context.limits.bytes)} are enough for," if points < context.points.count else ""
    text = (
        f"The Jacobian at {count(points, 'point')}{limited if context.source.batched else ''} in one call: the "
        "shortest of several calls on this machine, after the first, which traces or compiles. A strategy changes "
        "the cost, never the value. Passes and bytes are those of the plan; bytes count the intermediate results "
        "of one sample, about."
    )
    summary = f"{short(1e6 * fastest / points)} µs a point at best" if fastest is not None else "not measured"
    return PageSection("cost", "Cost of each strategy", (Text(text), _ways(costs, points), *_why(chosen)), summary)


def _affordable(context: Context, plan: Plan) -> int:
    """The number of points whose intermediate results fit, with all passes of the costlier mode at once."""
    if not context.source.batched:
        return 1
    jacobians = context.jacobians
    passes = max(jacobians.total_rows, len(jacobians.columns))
    needed = passes * max((step.sample_bytes for step in plan.steps), default=1)
    return min(context.points.count, max(1, context.limits.bytes // max(1, needed)))


def _all(context: Context, arguments: list[Any], picked: tuple[int, ...]) -> Iterator[Cost]:
    end = time.monotonic() + context.limits.seconds
    for compiled, mode, strategy in product((False, True), _MODES, _STRATEGIES):
        cost = Cost(mode, strategy, compiled)
        if time.monotonic() > end:
            yield replace(cost, failure=f"not measured: {context.limits.seconds:g} s were over")
            continue
        context.step(f"measuring {mode}, {strategy}{', XLA' if compiled else ''}")
        keywords: Any = {"argnums": picked, "mode": mode, "strategy": strategy, "jit_compile": compiled}
        yield _measured(build("jacobian", ("jacobian",), context.source, keywords), arguments, cost)


def _measured(derivative: Derivative, arguments: list[Any], cost: Cost) -> Cost:
    try:
        with _silent():
            first = _timed(derivative, arguments)
        times: list[float] = []
        while len(times) < _CALLS or sum(times) < _SECONDS:
            times.append(_timed(derivative, arguments))
            if sum(times) > 10 * _SECONDS:
                break
        return replace(cost, plan=derivative.plan, seconds=min(times), first=first)
    except Exception as error:  # a way that fails for this function: TensorFlow and XLA may raise anything
        return replace(cost, failure=first_line(error))


@contextmanager
def _silent() -> Iterator[None]:
    """Silences the graph that TensorFlow logs where a loop can't be vectorized."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _timed(derivative: Derivative, arguments: list[Any]) -> float:
    start = time.perf_counter()
    for leaf in tf.nest.flatten(derivative(*arguments)):
        leaf.numpy()
    return time.perf_counter() - start


def _ways(costs: Sequence[Cost], points: int) -> PageBlock:
    known = [cost.seconds for cost in costs if cost.seconds is not None]
    slowest, fastest = max(known, default=1.0), min(known, default=None)
    rows = [_row(cost, slowest, points) for cost in costs]
    marked = [i for i, cost in enumerate(costs) if cost.seconds is not None and cost.seconds == fastest]
    columns = ("mode", "strategy", "XLA", "passes", "bytes", "µs a point", "first call, s", "note")
    return table("Ways to the Jacobian; the fastest in bold", columns, rows, (3, 4, 5, 6), marked)


def _row(cost: Cost, slowest: float, points: int) -> tuple[str | TableCell, ...]:
    head = (cost.mode, cost.strategy, "yes" if cost.compiled else "no")
    if cost.plan is None or cost.seconds is None or cost.first is None:
        return (*head, "—", "—", "—", "—", cost.failure)
    plan = cost.plan
    passes = "?" if plan.passes is None else f"{plan.passes:,}"
    bar = TableCell(short(1e6 * cost.seconds / points), cost.seconds / slowest)
    return (*head, passes, amount(plan.bytes), bar, short(cost.first, 2), _note(cost, plan))


def _note(cost: Cost, plan: Plan) -> str:
    if cost.mode == "auto":
        return f"is {plan.mode}, {plan.strategy}"
    return "" if plan.strategy in (cost.strategy, None) else f"went by {plan.strategy}"


def _why(chosen: Cost) -> list[PageBlock]:
    plan = chosen.plan
    return [Text(f"“auto” takes {plan.mode}, {plan.strategy}: {plan.reason}.")] if plan else []


def parity_section(context: Context) -> PageSection:
    """The library at its recorded points, and beside the model at other points."""
    library = context.library
    if library is None:
        text = "No library was given: `--library FOLDER`, or library=, compares what `tfgradkit compile` wrote."
        return PageSection("parity", "Exported forms", (Text(text),), "no library given")
    targets = ", ".join(target["name"] for target in library.metadata["targets"])
    blocks: list[PageBlock] = [
        FactList((("library", library.name), ("functions", ", ".join(library.kinds)), ("targets", targets)))
    ]
    recorded, verified = _recorded(library)
    compared, errors = _against_the_model(context, library)
    blocks += [*recorded, *compared]
    worst, tolerance = max(errors.values(), default=0.0), library.metadata["tolerance"]
    if not verified or not compared or not worst <= tolerance:
        return PageSection("parity", "Exported forms", tuple(blocks), "the library and the model differ", "bad")
    return PageSection("parity", "Exported forms", tuple(blocks), f"C library within {short(worst, 2)}", "good")


def _recorded(library: NativeLibrary) -> tuple[list[PageBlock], bool]:
    """The errors at the points recorded at export (``.verify()``), and whether they are within the tolerance."""
    try:
        errors = library.verify()
    except LibraryError as error:
        return [problem("The library disagrees with its recorded answers", error)], False
    return [_table("Against the answers recorded at export", errors, library), *_rounding(library)], True


def _rounding(library: NativeLibrary) -> list[PageBlock]:
    """What float32 costs, against the same network in float64."""
    errors = library.errors_against_float64()
    if not errors:
        return []
    points = count(library.metadata["error_against_float64"]["points"], "recorded point")
    rows = [(name, short(error.relative, 2), short(error.absolute, 2)) for name, error in errors.items()]
    title = f"What float32 costs: the largest errors against the same network in float64, at {points}"
    return [table(title, ("result", "relative error", "absolute error"), rows, (1, 2))]


def _against_the_model(context: Context, library: NativeLibrary) -> tuple[list[PageBlock], dict[str, float]]:
    """The errors of every function of the library against the operator of its kind, at newly drawn points."""
    try:
        source = with_specs(context.source, None)
        entries = describe(source, library.kinds, library.input_names, library.output_names)
        ranges = check_ranges(library.metadata.get("ranges") or None, entries[0].inputs)
        vectors = record_points(source, entries, ranges, context.limits.points, seed=_SEED)
        errors = {name: error for entry in entries for name, error in _errors(library, entry, vectors).items()}
    except (TfGradKitError, ValueError) as error:
        return [problem("The library can't be compared with this model", error)], {"": float("inf")}
    caption = f"Against this model, at {count(context.limits.points, 'other point')}"
    return [_table(caption, errors, library)], errors


def _errors(library: NativeLibrary, entry: Entry, vectors: dict[str, np.ndarray]) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a point outside the range is still compared
        results = library.call(entry.kind, *(vectors[port.name] for port in entry.inputs))
    precision = library.metadata["precision"]
    return {
        f"{entry.kind}.{port.name}": relative_error(result, vectors[port.name], precision)
        for port, result in zip(entry.outputs, results, strict=True)
    }


def _table(caption: str, errors: dict[str, float], library: NativeLibrary) -> PageBlock:
    tolerance = library.metadata["tolerance"]
    rows = []
    for name, error in errors.items():
        verdict: Verdict = "good" if error <= tolerance else "bad"
        rows.append((name, short(error, 2), TableCell("within" if verdict == "good" else "outside", verdict=verdict)))
    title = f"{caption}: largest relative errors, with a tolerance of {short(tolerance, 2)}"
    return table(title, ("result", "error", "tolerance"), rows, (1,))
