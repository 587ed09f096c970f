"""Gradients for what TensorFlow can't differentiate, or differentiates in another way than is wanted."""
