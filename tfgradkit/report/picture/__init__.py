"""A graph as a picture: its ops folded into boxes, the boxes in layers, drawn as SVG."""
