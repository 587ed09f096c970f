"""A traced function as people look at it: its tree, its summary, what is left once it is simplified.

Not here: the interpreter and the facts about ops (``graph``).
"""
