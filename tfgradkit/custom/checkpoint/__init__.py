"""``checkpoint``: a function, layer or model whose intermediate results are computed again for the gradient."""
