"""What was raised while a derivative was traced, compiled or run, told in words of ours; and other ways to trace it.

``raised_by`` reads a traceback, ``foreign_errors`` and ``runtime_errors`` make an error of the tree, ``retraced`` tries
what else there is. Nothing here runs where nothing fails. Not here: the errors themselves (``tfgradkit.errors``).
"""
