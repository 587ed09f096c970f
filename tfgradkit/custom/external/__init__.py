"""``wrap_external``: NumPy, C or hardware as an op of a model, with the user's derivatives or finite differences.

Not here: rules for functions of TensorFlow ops (``custom/rule``).
"""
