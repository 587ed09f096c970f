"""``structure``: which blocks of a derivative are zero, constant, symmetric, banded or sparse; proven or sampled."""
