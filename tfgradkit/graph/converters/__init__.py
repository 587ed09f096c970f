"""How ops are done for all turns of a vectorized loop at once, where TensorFlow's own way is wrong or missing."""

from . import array_converters, branch_converters, list_converters, product_converters  # noqa: F401
