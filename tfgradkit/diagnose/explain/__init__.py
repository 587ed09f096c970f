"""``explain`` and ``ExplainingTape``: whether a gradient goes from an input to an output, and what cuts it.

Not here: obstacles found before anything runs (``diagnose/audit``), and numbers that are not finite
(``diagnose/nonfinite``).
"""
