"""The sections of the page: one a file, each a function ``section(context) -> Section``."""
