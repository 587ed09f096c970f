"""Sparse Jacobians: a pattern read off the graph, a colouring of it, and one pass a colour."""
