"""``implicit``: u(p) by the equations residual(u, p) = 0, differentiated by the implicit function theorem."""
