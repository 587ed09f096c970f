"""Whether a tape is watching: what nobody records needs no gradient of its own.

The one file that touches ``tensorflow.python.eager``. Where that has another form than in TensorFlow 2.21, everything
counts as recorded, which costs some microseconds.
"""

from __future__ import annotations

from collections.abc import Callable


def _finder() -> Callable[[], bool]:
    try:
        from tensorflow.python.eager import record

        return record.could_possibly_record
    except (ImportError, AttributeError):
        return lambda: True


is_recording = _finder()
