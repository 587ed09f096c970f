"""Forward Laplacians: value, slopes and the sum of second derivatives, carried together through a graph.

A domain of the graph's interpreter: ``jet`` is what is carried, ``taylor_rules`` and ``linear_rules`` say how an op
changes it, ``forward_laplacian`` asks. R. Li et al., "A computational framework for neural network-based
variational Monte Carlo with Forward Laplacian", Nature Machine Intelligence 6 (2024), arXiv 2307.08214;
F. Dangel et al., "Collapsing Taylor mode automatic differentiation", arXiv 2505.13644.
"""
