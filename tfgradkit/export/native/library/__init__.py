"""The folder of a C library: its sources, binaries, clients in other languages, test points and checksums.

Not here: the kernels (``compile``).
"""
