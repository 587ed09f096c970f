"""Gradients other than those of the calculation itself: transforms of gradients, and functions that bring their own."""
