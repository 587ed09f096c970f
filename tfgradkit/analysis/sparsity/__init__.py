"""On which elements of the inputs each element of a result depends: the pattern of a Jacobian.

A domain of the graph's interpreter over sets of columns (``index_sets``); a file of rules for each family of ops.
Not here: colouring a pattern and computing its entries (``derivatives/sparse``).
"""
