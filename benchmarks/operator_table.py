"""From times of operators.py to its tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from operator_cases import Case
from operator_ways import EAGER, IN_GRAPH, OURS, OURS_XLA


@dataclass(eq=False)
class Row:
    """A case with n samples a call.

    Attributes:
        times: microseconds a call by way, a number for each round.
        cut: why a way has no number.
        check: norm and sum of the results.
    """

    case: Case
    n: int
    times: dict[str, list[float]] = field(default_factory=dict)
    cut: dict[str, str] = field(default_factory=dict)
    check: list[float] = field(default_factory=list)

    def best(self, wanted: Callable[[str], bool]) -> tuple[float, str]:
        """The smallest median among some ways, and whose it is; infinite where there is none."""
        found = [(statistics.median(times), way) for way, times in self.times.items() if times and wanted(way)]
        return min(found, default=(float("inf"), ""))

    def of(self, way: str) -> float:
        """The median of one way."""
        return self.best(lambda name: name == way)[0]

    @property
    def ours(self) -> float:
        """The better of ours, compiled or not."""
        return min(self.of(OURS), self.of(OURS_XLA))

    @property
    def in_graph(self) -> tuple[float, str]:
        """The best of TensorFlow in a graph."""
        return self.best(lambda way: IN_GRAPH in way)


def full(rows: list[Row]) -> str:
    """Every way: medians with the smallest and largest round, and ratios to ours."""
    ways = list(dict.fromkeys(way for row in rows for way in [*row.times, *row.cut]))
    lines = [f"| µs a call | batch | {' | '.join(ways)} |", f"|---|---|{'---|' * len(ways)}"]
    for row in rows:
        cells = [_cell(row.times.get(way, []), row.ours) for way in ways]
        lines.append(f"| {row.case.title} | {row.n:,} | {' | '.join(cells)} |")
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for way, reason in row.cut.items():
            reasons.setdefault((way, reason), []).append(f"{row.case.name} × {row.n}")
    return "\n".join(lines) + "".join(f"\n\n—: {way}, {', '.join(w)}: {why}." for (way, why), w in reasons.items())


def _cell(times: list[float], ours: float) -> str:
    if not times:
        return "—"
    middle = statistics.median(times)
    ratio = f", ×{middle / ours:.3g}" if ours < float("inf") else ""
    return f"{_number(middle)} ({_number(min(times))}–{_number(max(times))}){ratio}"


def short(rows: list[Row]) -> str:
    """A line for each case and batch; ratio: the best of TensorFlow in a graph to the best of ours."""
    heads = ["Jacobian, µs a call", "batch", "`tgk.jacobian`", "`jit_compile=True`", "TensorFlow in graph, best"]
    heads += ["ratio to ours", "eager tape", "JAX", "torch"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        rival = row.in_graph[0]
        others = [row.of(EAGER), *(row.best(lambda way, n=name: way.startswith(n))[0] for name in ("JAX", "torch"))]  # type: ignore[misc]
        numbers = [_number(x) for x in (row.of(OURS), row.of(OURS_XLA), rival, rival / row.ours, *others)]
        lines.append(f"| {row.case.title} | {row.n:,} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def _number(x: float) -> str:
    return "—" if x in (0, float("inf")) or x != x else f"{x:,.0f}" if x >= 100 else f"{x:.3g}"
