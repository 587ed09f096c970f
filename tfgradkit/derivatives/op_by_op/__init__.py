"""A function op by op: each op alone, its derivative against another way to have it, and the line of one that is off.

Not told here is how much an op does to the whole: that is ``diagnose``.
"""
