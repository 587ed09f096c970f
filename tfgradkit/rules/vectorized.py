"""Which ops TensorFlow can run for many samples at once in ``tf.vectorized_map``.

The one file that touches ``tensorflow.python.ops.parallel_for``.
"""

from __future__ import annotations


def has_vector_form(op_type: str) -> bool:
    """Whether ``tf.vectorized_map`` has a converter for an op; in another TensorFlow, where that isn't known, True."""
    from tensorflow.python.ops.parallel_for import pfor

    converters = getattr(pfor, "_pfor_converter_registry", None)
    return not isinstance(converters, dict) or op_type in converters
