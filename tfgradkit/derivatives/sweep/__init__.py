"""Products with a Jacobian for all unit seeds of a tensor: how they are taken, in how much memory, what was decided."""
