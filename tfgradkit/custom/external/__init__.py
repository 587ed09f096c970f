"""``wrap_external``: NumPy, C or hardware as a node of a model, with derivatives that the user gives or differences.

Not here: rules for what TensorFlow can run itself (``custom/rule``).
"""
