"""tfgradkit: from a Keras model to its exact derivatives, anywhere they are needed.

The names are those of ``__init__.pyi``. Each loads when it is first used, so that ``import tfgradkit.native`` and the
command line's help never import TensorFlow.
"""

from __future__ import annotations

import lazy_loader

from .version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
