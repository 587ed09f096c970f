"""From a model, a layer, a file or a function to a :class:`~tfgradkit.differentiable.Differentiable`.

:func:`resolve.resolve` takes objects, :func:`load.load` files. Not here: anything that is computed with the function.
"""
