"""``export_native``: the functions of an export as a C library.

``compile`` makes kernels of graphs, ``library`` the folder that a solver gets. Not here: loading it (``native``).
"""
