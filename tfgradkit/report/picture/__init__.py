"""A graph as a picture: its ops are folded into boxes, the boxes placed in layers and drawn as SVG.

Not here: tracing a graph and reading it (``diagnose.graph``).
"""
