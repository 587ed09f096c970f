"""Derivatives of the user's own: rules, code outside TensorFlow, implicit functions, transforms of gradients."""
