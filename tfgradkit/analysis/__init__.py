"""What a graph says about a function without being run.

Not here: the walk itself and the facts about ops (``graph``), and what is done with an answer (``derivatives``,
``diagnose``).
"""
