"""``locate_nonfinite``: the first op whose value or gradient is NaN or infinite, and the same calculation without.

A domain of the graph's interpreter runs each op with the values at hand (``recorded_run``); ``trace_back`` follows
what is not finite to where it began.
"""
