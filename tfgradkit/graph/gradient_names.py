"""Which op an op of a gradient belongs to, by their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .ops import called_graphs

_OF = "_grad"


def differentiated(graph: Any, path: Sequence[str]) -> Any | None:
    """The op whose gradient the last op of ``path`` belongs to; None where it belongs to no gradient.

    Args:
        graph: of the function.
        path: names of ops, each of which calls the function that the next one is in.

    TensorFlow names the ops of an op's gradient after that op.
    """
    graphs, differentiated_op = [graph], None
    for name in path:
        candidate = next((op for inside in graphs for op in _candidates(inside, name)), None)
        if candidate is not None:
            differentiated_op, graphs = candidate, [*called_graphs(candidate), *graphs]
    return differentiated_op


def _candidates(graph: Any, name: str) -> Iterator[Any]:
    """Ops of ``graph`` with a name in front of a "_grad" in ``name``, the longest first."""
    parts = name.split("/")
    for end in range(len(parts) - 1, 0, -1):
        own, mark, count = parts[end].rpartition(_OF)
        if mark and (not count or count.lstrip("_").isdigit()):
            for start in range(end + 1):
                op = _operation(graph, "/".join([*parts[start:end], own]))
                if op is not None:
                    yield op


def _operation(graph: Any, name: str) -> Any | None:
    try:
        return graph.get_operation_by_name(name)
    except (KeyError, ValueError):
        return None
