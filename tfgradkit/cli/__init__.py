"""The command line: parse, one library call, render. The library is imported when a command runs.

Not here: anything of use to a Python program.
"""
