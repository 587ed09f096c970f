"""``locate_nonfinite``: the first op whose value or gradient is NaN or infinite, and the same calculation without.

Each op is run with the values at hand (``graph/recorded_run``); ``trace_back`` follows a number that is not finite to
the op where it began.
"""
