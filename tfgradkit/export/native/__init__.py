"""``export_native``: the functions of an export as a C library.

``compile`` makes kernels of graphs, ``library`` the folder for a solver. Not here: loading a library
(``tfgradkit.native``).
"""
