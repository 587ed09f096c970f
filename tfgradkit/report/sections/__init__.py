"""The sections of the page, each a function ``..._section(context) -> PageSection``.

Not here: calculations, which are the public functions' own.
"""
