"""The operators, from ``pullback`` (both products with a Jacobian) up to the ``Derivative`` that the user holds.

A call goes through ``operators`` (the front), ``derivative`` (one trace a signature), ``evaluate`` (one evaluation
in a graph) and the operator's own file. Not here: reading a pattern or the batch axis off a graph (``analysis``),
gradients of single ops (``op_gradients``).
"""
