"""Whether a tape is watching: what nobody records needs no gradient of its own.

The one file that touches ``tensorflow.python.eager.record``. Where that has another form than in TensorFlow 2.21,
everything counts as recorded, which costs some microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def record_module() -> Any:
    """TensorFlow's bookkeeping of tapes; None where another TensorFlow has none of this name."""
    try:
        from tensorflow.python.eager import record
    except ImportError:
        return None
    return record


def _finder() -> Callable[[], bool]:
    found: Callable[[], bool] = getattr(record_module(), "could_possibly_record", lambda: True)
    return found


is_recording = _finder()
