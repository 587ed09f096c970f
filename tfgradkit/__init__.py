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
    from . import attribution, layers, report
    from .custom.checkpoint import checkpoint
    from .custom.external import wrap_external
    from .custom.implicit import implicit
    from .custom.override import clip_gradient, override_gradient, reverse_gradient, stop_gradient
    from .custom.rule import custom_rule
    from .custom.straight_through import straight_through
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
    from .diagnose.audit import audit
    from .diagnose.check import check_gradients
    from .diagnose.connections.connection import Connection, Explanation
    from .diagnose.connections.explain import explain
    from .diagnose.connections.tape import ExplainingTape
    from .diagnose.findings import GradientCheck
    from .diagnose.finite.found import NonFinite
    from .diagnose.independence import check_batch_independence
    from .diagnose.nonfinite import locate_nonfinite
    from .diagnose.obstacles.found import Audit, Obstacle
    from .diagnose.structure import structure
    from .export.native import export_native
    from .export.saved_model import export_saved_model
    from .graph.simplify import simplify
    from .graph.summary import graph_summary
    from .graph.tree import graph_tree
    from .native import NativeLibrary, load_native
    from .rules.register import register_gradient, registered_gradients
    from .sources.load import load

# Modules that import TensorFlow, and so come when they are asked for, too.
_MODULES = ("attribution", "layers", "report")
_HOMES = {
    "Audit": "diagnose.obstacles.found",
    "BatchIndependence": "derivatives.independence",
    "Connection": "diagnose.connections.connection",
    "Derivative": "derivatives.derivative",
    "ExplainingTape": "diagnose.connections.tape",
    "Explanation": "diagnose.connections.connection",
    "GradientCheck": "diagnose.findings",
    "LinearMap": "derivatives.linear_map",
    "NativeLibrary": "native",
    "NonFinite": "diagnose.finite.found",
    "Obstacle": "diagnose.obstacles.found",
    "audit": "diagnose.audit",
    "check_batch_independence": "diagnose.independence",
    "check_gradients": "diagnose.check",
    "checkpoint": "custom.checkpoint",
    "clip_gradient": "custom.override",
    "custom_rule": "custom.rule",
    "divergence": "derivatives.fields",
    "explain": "diagnose.connections.explain",
    "export_native": "export.native",
    "export_saved_model": "export.saved_model",
    "gradient": "derivatives.operators",
    "graph_summary": "graph.summary",
    "graph_tree": "graph.tree",
    "hessian": "derivatives.operators",
    "hvp": "derivatives.operators",
    "implicit": "custom.implicit",
    "jacobian": "derivatives.operators",
    "jvp": "derivatives.operators",
    "laplacian": "derivatives.fields",
    "linearize": "derivatives.linearize",
    "load": "sources.load",
    "load_native": "native",
    "locate_nonfinite": "diagnose.nonfinite",
    "override_gradient": "custom.override",
    "partial": "derivatives.fields",
    "register_gradient": "rules.register",
    "registered_gradients": "rules.register",
    "reverse_gradient": "custom.override",
    "simplify": "graph.simplify",
    "sparse_jacobian": "derivatives.sparse.operators",
    "stop_gradient": "custom.override",
    "straight_through": "custom.straight_through",
    "structure": "diagnose.structure",
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
    "wrap_external": "custom.external",
}

__all__ = [
    "Audit",
    "BatchIndependence",
    "Connection",
    "Derivative",
    "ExplainingTape",
    "Explanation",
    "GradientCheck",
    "LinearMap",
    "NativeLibrary",
    "NonFinite",
    "Obstacle",
    "attribution",
    "audit",
    "check_batch_independence",
    "check_gradients",
    "checkpoint",
    "clip_gradient",
    "custom_rule",
    "divergence",
    "errors",
    "explain",
    "export_native",
    "export_saved_model",
    "gradient",
    "graph_summary",
    "graph_tree",
    "hessian",
    "hvp",
    "implicit",
    "jacobian",
    "jvp",
    "laplacian",
    "layers",
    "linearize",
    "load",
    "load_native",
    "locate_nonfinite",
    "override_gradient",
    "partial",
    "register_gradient",
    "registered_gradients",
    "report",
    "reverse_gradient",
    "simplify",
    "sparse_jacobian",
    "stop_gradient",
    "straight_through",
    "structure",
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
    "wrap_external",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
