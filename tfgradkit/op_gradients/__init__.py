"""Gradients that TensorFlow does not register."""
