"""Derivatives of the user's own, a folder for each public function: rules, code outside TensorFlow, implicit functions,
overridden gradients, checkpoints. ``attach_gradient`` gives tensors a rule; ``emission`` writes an op anew.

Not here: rules by type of op (``op_gradients``).
"""
