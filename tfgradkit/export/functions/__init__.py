"""The functions that an export has: the names, shapes and dtypes of their arrays, and the TensorFlow functions.

Not here: the derivatives themselves (``derivatives``), and the files of an export.
"""
