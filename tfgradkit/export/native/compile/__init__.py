"""From a traced function to kernels: frozen, made canonical, compiled, and read back as plain records.

Not here: the C sources and the folder around the kernels (``library``).
"""
