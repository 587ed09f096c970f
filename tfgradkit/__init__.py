"""tfgradkit: from a Keras model to its exact derivatives, anywhere they are needed.

Names load when they are first used, so that ``import tfgradkit.native`` and the command line's
help never import TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from .version import __version__ as __version__

if TYPE_CHECKING:
    from . import attribution, layers
    from .derivatives.derivative import Derivative
    from .derivatives.fields import (
        divergence,
        laplacian,
        partial,
        value_and_divergence,
        value_and_laplacian,
        value_and_partial,
    )
    from .derivatives.independence import BatchIndependence
    from .derivatives.linear_map import LinearMap
    from .derivatives.linearize import linearize
    from .derivatives.operators import (
        gradient,
        hessian,
        hvp,
        jacobian,
        jvp,
        value_and_gradient,
        value_and_hvp,
        value_and_jacobian,
        value_and_jvp,
        value_and_vjp,
        value_gradient_and_hessian,
        vjp,
    )
    from .derivatives.sparse.operators import sparse_jacobian, value_and_sparse_jacobian
    from .diagnose.check import check_gradients
    from .diagnose.connections.connection import Connection, Explanation
    from .diagnose.connections.explain import explain
    from .diagnose.connections.tape import ExplainingTape
    from .diagnose.findings import GradientCheck
    from .diagnose.independence import check_batch_independence
    from .export.native import export_native
    from .export.saved_model import export_saved_model
    from .native import NativeLibrary, load_native
    from .sources.load import load

# Modules that import TensorFlow, and so come when they are asked for, too.
_MODULES = ("attribution", "layers")
_HOMES = {
    "BatchIndependence": "derivatives.independence",
    "Connection": "diagnose.connections.connection",
    "Derivative": "derivatives.derivative",
    "ExplainingTape": "diagnose.connections.tape",
    "Explanation": "diagnose.connections.connection",
    "GradientCheck": "diagnose.findings",
    "LinearMap": "derivatives.linear_map",
    "NativeLibrary": "native",
    "check_batch_independence": "diagnose.independence",
    "check_gradients": "diagnose.check",
    "divergence": "derivatives.fields",
    "explain": "diagnose.connections.explain",
    "export_native": "export.native",
    "export_saved_model": "export.saved_model",
    "gradient": "derivatives.operators",
    "hessian": "derivatives.operators",
    "hvp": "derivatives.operators",
    "jacobian": "derivatives.operators",
    "jvp": "derivatives.operators",
    "laplacian": "derivatives.fields",
    "linearize": "derivatives.linearize",
    "load": "sources.load",
    "load_native": "native",
    "partial": "derivatives.fields",
    "sparse_jacobian": "derivatives.sparse.operators",
    "value_and_divergence": "derivatives.fields",
    "value_and_gradient": "derivatives.operators",
    "value_and_hvp": "derivatives.operators",
    "value_and_jacobian": "derivatives.operators",
    "value_and_jvp": "derivatives.operators",
    "value_and_laplacian": "derivatives.fields",
    "value_and_partial": "derivatives.fields",
    "value_and_sparse_jacobian": "derivatives.sparse.operators",
    "value_and_vjp": "derivatives.operators",
    "value_gradient_and_hessian": "derivatives.operators",
    "vjp": "derivatives.operators",
}

__all__ = [
    "BatchIndependence",
    "Connection",
    "Derivative",
    "ExplainingTape",
    "Explanation",
    "GradientCheck",
    "LinearMap",
    "NativeLibrary",
    "attribution",
    "check_batch_independence",
    "check_gradients",
    "divergence",
    "errors",
    "explain",
    "export_native",
    "export_saved_model",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "laplacian",
    "layers",
    "linearize",
    "load",
    "load_native",
    "partial",
    "sparse_jacobian",
    "value_and_divergence",
    "value_and_gradient",
    "value_and_hvp",
    "value_and_jacobian",
    "value_and_jvp",
    "value_and_laplacian",
    "value_and_partial",
    "value_and_sparse_jacobian",
    "value_and_vjp",
    "value_gradient_and_hessian",
    "vjp",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
