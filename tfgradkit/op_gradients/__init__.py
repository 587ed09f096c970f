"""Gradients by type of op: TensorFlow's registry, the rules that the toolkit adds or puts right, and users' rules.

``ops`` has a file for each family of ops. Not here: rules for one function of the user's (``custom/rule``).
"""
