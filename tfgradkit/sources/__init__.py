"""Whatever the user has → :class:`~tfgradkit.differentiable.Differentiable`."""
