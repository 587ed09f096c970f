"""The sections of the page, each a function ``..._section(context) -> PageSection``.

Not here: the calculations, which the public functions do.
"""
