"""From measured times to the README's table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from cases import Case
from machine import described

OURS = "C library, from C"


@dataclass
class Results:
    """Of one case: microseconds a point by way and number of points, a number for each round.

    Attributes:
        cut: why a cell has no number.
        peaks: GFLOP/s of one core, by instruction set, a number for each round.
        flops: of a point.
    """

    case: Case
    flops: int
    library_bytes: int
    times: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    cut: dict[tuple[str, int], str] = field(default_factory=dict)
    peaks: dict[str, list[float]] = field(default_factory=dict)


def table(all_results: list[Results], counts: tuple[int, ...]) -> str:
    """Markdown; medians with the smallest and largest round, and ratios to ours."""
    heads = [f"{n:,} point{'s' * (n > 1)}" for n in counts]
    rows = [f"| µs a point | {' | '.join(heads)} |", f"|---|{'---|' * len(counts)}"]
    for results in all_results:
        rows += [f"| **{results.case.title}** |{' |' * len(counts)}", *_rows(results, counts)]
    reasons = dict.fromkeys(reason for results in all_results for reason in results.cut.values())
    return "\n".join(rows) + "".join(f"\n\n—: {reason}." for reason in reasons)


def _rows(results: Results, counts: tuple[int, ...]) -> list[str]:
    ours = {n: statistics.median(results.times[OURS][n]) for n in counts}
    rows = []
    for name, by_count in results.times.items():
        cells = [_cell(by_count.get(n, []), ours[n]) for n in counts]
        rows.append(f"| {name} | {' | '.join(cells)} |")
        if name == OURS:
            rows += [_share(results, peak, ours, counts) for peak in results.peaks]
    return rows


def _cell(times: list[float], ours: float) -> str:
    if not times:
        return "—"
    middle = statistics.median(times)
    return f"{middle:.3g} ({min(times):.3g}–{max(times):.3g}), ×{middle / ours:.3g}"


def _share(results: Results, peak: str, ours: dict[int, float], counts: tuple[int, ...]) -> str:
    rate = statistics.median(results.peaks[peak])
    cells = [f"{1e-3 * results.flops / ours[n] / rate:.0%}" for n in counts]
    return f"| share of one core's {peak} peak, {rate:.0f} GFLOP/s | {' | '.join(cells)} |"


def machine(all_results: list[Results], rounds: int) -> str:
    """Processor, cores, versions, sizes."""
    sizes = ", ".join(f"{r.case.name} {r.library_bytes / 1000:.0f} kB" for r in all_results)
    return f"{described()}; shared libraries: {sizes}; {rounds} interleaved round{'s' * (rounds > 1)}."
