"""Importing TensorFlow without the lines it prints before its own logging is set up."""

from __future__ import annotations

import os
import sys
import tempfile


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras; what they print is shown only where the import fails."""
    if "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            import keras
            import tensorflow as tf

            # The devices are looked for at the first use, which prints, too.
            tf.config.list_physical_devices()
            keras.config.floatx()
        except BaseException:
            os.dup2(kept, 2)
            printed.seek(0)
            sys.stderr.write(printed.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
