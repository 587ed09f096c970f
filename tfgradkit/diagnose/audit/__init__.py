"""``audit``: what stands in the way of derivatives before anything runs, in TensorFlow, XLA or the C library.

Not here: why one gradient that was asked for is missing (``diagnose/explain``).
"""
