"""From a function to what runs without it: a SavedModel with a signature for each derivative, and a C library.

``functions`` makes the functions that either export has, ``native`` the C library. Not here: loading a library in
Python (``tfgradkit.native``), which needs no TensorFlow.
"""
