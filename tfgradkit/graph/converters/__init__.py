"""How ops are done for all turns of a vectorized loop at once, where TensorFlow's own way is wrong or missing.

Whoever vectorizes takes ``vectorized_map`` from here, so that these converters are registered.
"""

from ..pfor import NotVectorizedError as NotVectorizedError
from ..pfor import UserFunction as UserFunction
from ..pfor import vectorized_map as vectorized_map
from ..pfor import which as which
from . import array_converters, branch_converters, list_converters, product_converters  # noqa: F401
