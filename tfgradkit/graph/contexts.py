"""The context in which an op is made: whether a tape is watching, and whether a ``tf.function`` is being traced.

The one file that touches ``tensorflow.python.eager.record``. Where another TensorFlow has that module in another form,
every op counts as recorded, which costs some microseconds.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def record_module() -> Any:
    """TensorFlow's module that keeps the active tapes; None where another TensorFlow has none of this name."""
    try:
        from tensorflow.python.eager import record
    except ImportError:
        return None
    return record


def _finder() -> Callable[[], bool]:
    found: Callable[[], bool] = getattr(record_module(), "could_possibly_record", lambda: True)
    return found


# Whether a tape may record the ops that are made now.
is_recording = _finder()

_local = threading.local()


def ours(graph: Any) -> None:
    """Notes that ``graph`` is traced for one call of this package: no ``tf.function`` of a user keeps it."""
    _graphs().add(graph)


def foreign_function(home: Any) -> bool:
    """Whether a ``tf.function`` of a user is being traced between the graph ``home`` and the current one."""
    graph = tf.compat.v1.get_default_graph()
    while graph is not None and graph is not home:
        # Graphs of loops and branches are of subclasses.
        if type(graph).__name__ == "FuncGraph" and graph not in _graphs():
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def _graphs() -> Any:
    if not hasattr(_local, "graphs"):
        _local.graphs = weakref.WeakSet()
    return _local.graphs
