"""The same values with other gradients: ``override_gradient`` for layers and ops, and transforms of a gradient.

Not here: a rule for one function of the user's (``custom/rule``), rules for ops by type in all graphs
(``op_gradients``).
"""
