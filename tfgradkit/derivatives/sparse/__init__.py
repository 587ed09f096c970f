"""Sparse Jacobians: the pattern coloured, one pass a colour, and SciPy matrices of the entries.

Not here: reading the pattern off a graph (``analysis/sparsity``).
"""
