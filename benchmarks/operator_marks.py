"""What operators.py sums up: ratios, and what they were to reach."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from operator_memory import WAYS as MEMORY_WAYS
from operator_table import Row
from operator_ways import DENSE, EAGER, OURS, TRACE


def summary(rows: list[Row]) -> list[str]:
    """Of the Jacobians: against TensorFlow in a graph, and against the eager tape."""
    wide = [row for row in rows if row.case.name.startswith("mlp-10-100-")]
    single = [row for row in rows if row.n == 1]
    told = [
        (rows, "the best of TensorFlow in a graph over the best of ours (to reach: 1, worst 0.85)", _best),
        (rows, "the same over `tgk.jacobian` as it comes", lambda row: row.in_graph[0] / row.of(OURS)),
        (wide, "the first, of 10 inputs and 100 outputs (to reach: 1.5)", _best),
        (single, "the eager tape over `tgk.jacobian` at batch 1 (to reach: 100)", lambda r: r.of(EAGER) / r.of(OURS)),
    ]
    return [_ratios(some, title, ratio) for some, title, ratio in told if some]


def _best(row: Row) -> float:
    return row.in_graph[0] / row.ours


def _ratios(rows: list[Row], title: str, ratio: Callable[[Row], float]) -> str:
    ratios = {row: ratio(row) for row in rows}
    worst = min(ratios, key=lambda row: ratios[row])
    mean = statistics.geometric_mean(ratios.values())
    return f"{title}: geometric mean {mean:.3g}, worst {ratios[worst]:.3g} ({worst.case.title}, batch {worst.n:,})"


def marks(rows: list[Row], memory: dict[str, int]) -> list[str]:
    """Of second derivatives, sparse Jacobians and memory."""
    lines = [f"{_TITLES[row.case.kind]}, batch {row.n:,}: {_TOLD[row.case.kind](row)}" for row in rows]
    if memory:
        grown = "; ".join(f"{way} {memory[way]} MB" for way in MEMORY_WAYS)
        lines.append(f"peak growth, Jacobian of 1,000 by 1,000 for 64 samples (to reach: 512): {grown}")
    return lines


def _hessian(row: Row) -> str:
    jax = row.best(lambda way: way.startswith("JAX"))[0]
    return f"JAX over ours {_ratio(jax, row)} (1), TensorFlow in a graph over ours {_ratio(row.in_graph[0], row)}"


def _laplacian(row: Row) -> str:
    trace = row.best(lambda way: way.startswith(TRACE))[0]
    tapes, best = row.best(lambda way: way.startswith("nested tapes in"))[0], row.in_graph
    plain = row.best(lambda way: way.startswith("nested tapes") and not way.endswith("XLA"))[0] / row.of(OURS)
    return "; ".join(
        (
            f"trace of our Hessian over ours {_ratio(trace, row)} (1.7)",
            f"nested tapes in a graph over ours (4), neither by XLA {plain:.3g}, the best {_ratio(tapes, row)}",
            f"the best in a graph {_ratio(best[0], row)} ({best[1]})",
        )
    )


def _sparse(row: Row) -> str:
    dense = row.best(lambda way: way.startswith(DENSE))[0]
    told = f"our dense one over ours {_ratio(dense, row)} (15), TensorFlow in a graph {_ratio(row.in_graph[0], row)}"
    return f"{told}; {row.case.title}"


def _ratio(time: float, row: Row) -> str:
    """Where both were measured."""
    both = 0 < row.ours < float("inf") and time < float("inf")
    return f"{time / row.ours:.3g}" if both else "not measured"


_TITLES = {
    "hessian": "Hessian of 10 inputs",
    "laplacian": "Laplacian of 50 inputs",
    "sparse": "sparse Jacobian, 1,000 by 1,000",
}
_TOLD = {"hessian": _hessian, "laplacian": _laplacian, "sparse": _sparse}
