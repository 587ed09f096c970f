"""The core for graphs: what an op is, how a graph is walked, and ops written anew. Knows no derivative.

``ops`` has the facts about types of ops, ``interpret`` walks a graph for any domain of values, ``emit`` writes
ops anew, ``trace`` makes flat graphs of functions, ``dependence`` tells which ops lead from x to y, ``fold``
knows the values that no run can change. ``contexts``, ``grappler`` and ``pfor`` each touch a private module of
TensorFlow; ``python_code``, ``static_shapes`` and ``flops`` read a single thing off ops. Not here: the rules of one
analysis (``analysis``), and what people look at (``diagnose/graph``).
"""
