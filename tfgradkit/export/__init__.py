"""From a function to files that run without Python: a SavedModel with a signature for each derivative, or a C library.

``functions`` makes the TensorFlow functions that are exported, ``native`` the C library. Not here: loading a library
in Python (``tfgradkit.native``), which needs no TensorFlow.
"""
