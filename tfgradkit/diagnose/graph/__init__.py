"""A traced function for people: its tree, its summary, and its simplified form.

Not here: the interpreter and the facts about ops (``graph``).
"""
