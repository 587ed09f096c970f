"""Products with a Jacobian for all unit seeds of a tensor: strategies, memory, and the plan."""
