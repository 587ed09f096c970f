"""Sparse Jacobians: the pattern is read off the graph, its columns or rows are coloured, and one pass a colour is made."""
