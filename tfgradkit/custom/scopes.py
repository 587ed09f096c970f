"""Telling the graphs of a ``tf.function`` from those of loops and branches."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import tensorflow as tf

_local = threading.local()


def ours(graph: Any) -> None:
    """Says that ``graph`` is traced for this call alone, and kept by nobody else."""
    _graphs().add(graph)


def foreign_function(home: Any) -> bool:
    """Whether a ``tf.function`` is being traced between the graph ``home`` and the current one."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None and graph is not home:
        # Loops and branches have classes of their own.
        if type(graph).__name__ == "FuncGraph" and graph not in _graphs():
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def _graphs() -> Any:
    if not hasattr(_local, "graphs"):
        _local.graphs = weakref.WeakSet()
    return _local.graphs
