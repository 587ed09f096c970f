"""What each way to the Jacobian costs: passes and bytes from its plan, and the time it takes here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import tensorflow as tf

from ...derivatives.derivative import Derivative
from ...derivatives.operators import build
from ...derivatives.plan import Plan
from ...errors import TfGradKitError
from ..blocks import Cell, Section, Text, table
from ..context import Context
from ..jacobians import floating_arguments
from ..numbers import amount, count, short
from ..problems import first_line

_MODES, _STRATEGIES = ("forward", "reverse"), ("vectorize", "tile", "loop")
# A call is repeated for so long, and at least so often.
_SECONDS, _CALLS = 0.1, 5


@dataclass(frozen=True)
class Cost:
    """A way, and what it costs, or why it can't be had.

    Attributes:
        seconds: of a call at all points, the shortest; None where ``failure`` says why.
        first: of the first call, which traces.
    """

    mode: str
    strategy: str
    compiled: bool
    plan: Plan | None = None
    seconds: float | None = None
    first: float | None = None
    failure: str = ""


def section(context: Context) -> Section:
    """All ways, the fastest marked, and what "auto" takes."""
    arguments = context.points.first(context.points.count)
    picked = floating_arguments(context.points)
    auto = build("jacobian", ("jacobian",), context.source, {"argnums": picked})
    chosen = _measured(auto, arguments, Cost("auto", "auto", False))
    costs = list(_all(context, arguments, picked))
    known = [cost.seconds for cost in (chosen, *costs) if cost.seconds is not None]
    points = context.points.count if context.source.batched else 1
    slowest = max(known, default=1.0)
    rows = [_row(cost, slowest, points) for cost in (chosen, *costs)]
    fastest = min(known, default=None)
    marked = [i for i, cost in enumerate((chosen, *costs)) if cost.seconds is not None and cost.seconds == fastest]
    told = (
        f"The Jacobian at {count(points, 'point')} in one call: the shortest of several calls on this machine, after "
        "the first, which traces or compiles. A strategy changes the cost, never the value. Passes and bytes are "
        "those of the plan; bytes count the intermediate results of one sample, about."
    )
    columns = ("mode", "strategy", "XLA", "passes", "bytes", "µs a point", "first call, s", "")
    ways = table("Ways to the Jacobian; the fastest in bold", columns, rows, (3, 4, 5, 6), marked)
    plan = chosen.plan
    why = [Text(f"“auto” takes {plan.mode}, {plan.strategy}: {plan.reason}.")] if plan else []
    summary = f"{short(1e6 * fastest / points)} µs a point at best" if fastest is not None else "not measured"
    return Section("cost", "Cost of each strategy", (Text(told), ways, *why), summary)


def _all(context: Context, arguments: list[Any], picked: tuple[int, ...]) -> Iterator[Cost]:
    end = time.monotonic() + context.limits.seconds
    for compiled, mode, strategy in product((False, True), _MODES, _STRATEGIES):
        cost = Cost(mode, strategy, compiled)
        if time.monotonic() > end:
            yield Cost(mode, strategy, compiled, failure=f"not measured: {context.limits.seconds:g} s were over")
            continue
        context.step(f"measuring {mode}, {strategy}{', XLA' if compiled else ''}")
        keywords: Any = {"argnums": picked, "mode": mode, "strategy": strategy, "jit_compile": compiled}
        try:
            derivative = build("jacobian", ("jacobian",), context.source, keywords)
        except TfGradKitError as error:
            yield Cost(mode, strategy, compiled, failure=first_line(error))
            continue
        yield _measured(derivative, arguments, cost)


def _measured(derivative: Derivative, arguments: list[Any], cost: Cost) -> Cost:
    try:
        first = _timed(derivative, arguments)
        spent, seconds, calls = 0.0, float("inf"), 0
        while spent < _SECONDS or calls < _CALLS:
            took = _timed(derivative, arguments)
            spent, seconds, calls = spent + took, min(seconds, took), calls + 1
            if spent > 10 * _SECONDS:
                break
        plan = derivative.plan
    except Exception as error:  # a way that this function can't go; TensorFlow and XLA raise what they like
        return Cost(cost.mode, cost.strategy, cost.compiled, failure=first_line(error))
    return Cost(cost.mode, cost.strategy, cost.compiled, plan, seconds, first)


def _timed(derivative: Derivative, arguments: list[Any]) -> float:
    start = time.perf_counter()
    for leaf in tf.nest.flatten(derivative(*arguments)):
        leaf.numpy()
    return time.perf_counter() - start


def _row(cost: Cost, slowest: float, points: int) -> tuple[str | Cell, ...]:
    head = (cost.mode, cost.strategy, "yes" if cost.compiled else "no")
    if cost.plan is None or cost.seconds is None or cost.first is None:
        return (*head, "—", "—", "—", "—", cost.failure)
    plan = cost.plan
    went = "" if cost.mode == "auto" or plan.strategy in (cost.strategy, None) else f"went by {plan.strategy}"
    if cost.mode == "auto":
        went = f"{plan.mode}, {plan.strategy}"
    passes = "?" if plan.passes is None else f"{plan.passes:,}"
    time_text = Cell(short(1e6 * cost.seconds / points), cost.seconds / slowest)
    return (*head, passes, amount(plan.bytes), time_text, short(cost.first, 2), went)
