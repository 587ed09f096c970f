"""Whatever the user has (a model, a layer, a file, a function) → :class:`~tfgradkit.differentiable.Differentiable`.

Not here: what is done with it.
"""
