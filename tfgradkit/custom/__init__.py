"""Derivatives of the user's own, a folder for each public function: rules, code outside TensorFlow, implicit functions,
overridden gradients, checkpoints.

Not here: rules by type of op (``op_gradients``).
"""
