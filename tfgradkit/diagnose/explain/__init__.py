"""Whether a gradient goes from an input to an output, and if not, what cuts it."""
