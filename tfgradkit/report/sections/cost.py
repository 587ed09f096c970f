"""What each way to the Jacobian costs: passes and bytes from its plan, and the time it takes here."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import tensorflow as tf

from ...derivatives.derivative import Derivative
from ...derivatives.operators import build
from ...derivatives.plan import Plan
from ..blocks import Block, Cell, Section, Text, table
from ..context import Context
from ..jacobians import floating_arguments
from ..numbers import amount, count, short
from ..problems import first_line

_MODES, _STRATEGIES = ("forward", "reverse"), ("vectorize", "tile", "loop")
# A call is repeated for so long, at least so often; a slow one less often.
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
    picked = floating_arguments(context.points)
    auto = build("jacobian", ("jacobian",), context.source, {"argnums": picked})
    first = _timed(auto, context.points.first(1))  # an error here is the section's; and then it has a plan
    points = _affordable(context, auto.plan)
    arguments = context.points.first(points)
    chosen = replace(_measured(auto, arguments, Cost("auto", "auto", False)), first=first)
    costs = [chosen, *_all(context, arguments, picked)]
    fastest = min((cost.seconds for cost in costs if cost.seconds is not None), default=None)
    limited = f", as many as {amount(context.limits.bytes)} are enough for," if points < context.points.count else ""
    told = (
        f"The Jacobian at {count(points, 'point')}{limited if context.source.batched else ''} in one call: the "
        "shortest of several calls on this machine, after the first, which traces or compiles. A strategy changes "
        "the cost, never the value. Passes and bytes are those of the plan; bytes count the intermediate results "
        "of one sample, about."
    )
    summary = f"{short(1e6 * fastest / points)} µs a point at best" if fastest is not None else "not measured"
    return Section("cost", "Cost of each strategy", (Text(told), _ways(costs, points), *_why(chosen)), summary)


def _affordable(context: Context, plan: Plan) -> int:
    """How many points fit where the costlier of both modes carries all its passes at once."""
    if not context.source.batched:
        return 1
    found = context.jacobians
    passes = max(found.total_rows, len(found.columns))
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
    except Exception as error:  # a way that this function can't go; TensorFlow and XLA raise what they like
        return replace(cost, failure=first_line(error))


@contextmanager
def _silent() -> Iterator[None]:
    """Without the graph that TensorFlow logs where a loop can't be vectorized."""
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


def _ways(costs: Sequence[Cost], points: int) -> Block:
    known = [cost.seconds for cost in costs if cost.seconds is not None]
    slowest, fastest = max(known, default=1.0), min(known, default=None)
    rows = [_row(cost, slowest, points) for cost in costs]
    marked = [i for i, cost in enumerate(costs) if cost.seconds is not None and cost.seconds == fastest]
    columns = ("mode", "strategy", "XLA", "passes", "bytes", "µs a point", "first call, s", "note")
    return table("Ways to the Jacobian; the fastest in bold", columns, rows, (3, 4, 5, 6), marked)


def _row(cost: Cost, slowest: float, points: int) -> tuple[str | Cell, ...]:
    head = (cost.mode, cost.strategy, "yes" if cost.compiled else "no")
    if cost.plan is None or cost.seconds is None or cost.first is None:
        return (*head, "—", "—", "—", "—", cost.failure)
    plan = cost.plan
    passes = "?" if plan.passes is None else f"{plan.passes:,}"
    bar = Cell(short(1e6 * cost.seconds / points), cost.seconds / slowest)
    return (*head, passes, amount(plan.bytes), bar, short(cost.first, 2), _note(cost, plan))


def _note(cost: Cost, plan: Plan) -> str:
    if cost.mode == "auto":
        return f"is {plan.mode}, {plan.strategy}"
    return "" if plan.strategy in (cost.strategy, None) else f"went by {plan.strategy}"


def _why(chosen: Cost) -> list[Block]:
    plan = chosen.plan
    return [Text(f"“auto” takes {plan.mode}, {plan.strategy}: {plan.reason}.")] if plan else []
