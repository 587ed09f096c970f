"""Along which axis of each tensor the samples of a batch lie, and which op mixes them.

A domain of the graph's interpreter: ``op_rules`` and ``shape_rules`` say what each op does, ``analyse`` asks.
Not here: the probe that decides where no rule is known (``derivatives/batch``).
"""
