"""Gradients by type of op: TensorFlow's registry, what the toolkit adds to it or puts right, and users' rules.

``ops`` has a file for each family of ops. Not here: rules for one function of the user's (``custom/rule``).
"""
