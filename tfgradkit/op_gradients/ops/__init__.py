"""Gradients that TensorFlow 2.21 lacks or gets wrong, a file for each family of ops; most for second order.

Importing this package registers them, for every ``tf.GradientTape`` of the process.
"""

from . import arrays as _arrays  # noqa: F401  registers its own
from . import bessel as _bessel  # noqa: F401
from . import boxes as _boxes  # noqa: F401
from . import convolutions as _convolutions  # noqa: F401
from . import cumulative as _cumulative  # noqa: F401
from . import determinants as _determinants  # noqa: F401
from . import images as _images  # noqa: F401
from . import least_squares as _least_squares  # noqa: F401
from . import linear_algebra as _linear_algebra  # noqa: F401
from . import losses as _losses  # noqa: F401
from . import matrix_functions as _matrix_functions  # noqa: F401
from . import network_ops as _network_ops  # noqa: F401
from . import pooling as _pooling  # noqa: F401
from . import powers as _powers  # noqa: F401
from . import products as _products  # noqa: F401
from . import segments as _segments  # noqa: F401
from . import signal as _signal  # noqa: F401
from . import sparse_tensors as _sparse_tensors  # noqa: F401
from . import special_functions as _special_functions  # noqa: F401
from . import spectra as _spectra  # noqa: F401
from . import stopped_means as _stopped_means  # noqa: F401
