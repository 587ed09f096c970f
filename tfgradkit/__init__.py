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
    from .custom.checkpoint.checkpoint import checkpoint
    from .custom.external.wrap_external import wrap_external
    from .custom.implicit.implicit import implicit
    from .custom.override.backward_transforms import straight_through
    from .custom.override.override_gradient import clip_gradient, override_gradient, reverse_gradient, stop_gradient
    from .custom.rule.custom_rule import custom_rule
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
    from .derivatives.linearize import LinearMap, linearize
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
    from .derivatives.sparse.sparse_jacobian import sparse_jacobian, value_and_sparse_jacobian
    from .diagnose.audit.audit import audit
    from .diagnose.audit.audit_result import Audit, Obstacle
    from .diagnose.check.check_batch_independence import check_batch_independence
    from .diagnose.check.check_gradients import check_gradients
    from .diagnose.check.gradient_check import GradientCheck
    from .diagnose.explain.explain import explain
    from .diagnose.explain.explaining_tape import ExplainingTape
    from .diagnose.explain.explanation import Connection, Explanation
    from .diagnose.graph.graph_summary import graph_summary
    from .diagnose.graph.graph_tree import graph_tree
    from .diagnose.graph.simplify import simplify
    from .diagnose.nonfinite.finding import NonFinite
    from .diagnose.nonfinite.locate_nonfinite import locate_nonfinite
    from .diagnose.structure.structure import structure
    from .export.export_saved_model import export_saved_model
    from .export.native.export_native import export_native
    from .native import NativeLibrary, load_native
    from .op_gradients.register_gradient import register_gradient, registered_gradients
    from .sources.load import load

# Modules that import TensorFlow, and so come when they are asked for, too.
_MODULES = ("attribution", "layers", "report")
_HOMES = {
    "Audit": "diagnose.audit.audit_result",
    "BatchIndependence": "derivatives.independence",
    "Connection": "diagnose.explain.explanation",
    "Derivative": "derivatives.derivative",
    "ExplainingTape": "diagnose.explain.explaining_tape",
    "Explanation": "diagnose.explain.explanation",
    "GradientCheck": "diagnose.check.gradient_check",
    "LinearMap": "derivatives.linearize",
    "NativeLibrary": "native",
    "NonFinite": "diagnose.nonfinite.finding",
    "Obstacle": "diagnose.audit.audit_result",
    "audit": "diagnose.audit.audit",
    "check_batch_independence": "diagnose.check.check_batch_independence",
    "check_gradients": "diagnose.check.check_gradients",
    "checkpoint": "custom.checkpoint.checkpoint",
    "clip_gradient": "custom.override.override_gradient",
    "custom_rule": "custom.rule.custom_rule",
    "divergence": "derivatives.fields",
    "explain": "diagnose.explain.explain",
    "export_native": "export.native.export_native",
    "export_saved_model": "export.export_saved_model",
    "gradient": "derivatives.operators",
    "graph_summary": "diagnose.graph.graph_summary",
    "graph_tree": "diagnose.graph.graph_tree",
    "hessian": "derivatives.operators",
    "hvp": "derivatives.operators",
    "implicit": "custom.implicit.implicit",
    "jacobian": "derivatives.operators",
    "jvp": "derivatives.operators",
    "laplacian": "derivatives.fields",
    "linearize": "derivatives.linearize",
    "load": "sources.load",
    "load_native": "native",
    "locate_nonfinite": "diagnose.nonfinite.locate_nonfinite",
    "override_gradient": "custom.override.override_gradient",
    "partial": "derivatives.fields",
    "register_gradient": "op_gradients.register_gradient",
    "registered_gradients": "op_gradients.register_gradient",
    "reverse_gradient": "custom.override.override_gradient",
    "simplify": "diagnose.graph.simplify",
    "sparse_jacobian": "derivatives.sparse.sparse_jacobian",
    "stop_gradient": "custom.override.override_gradient",
    "straight_through": "custom.override.backward_transforms",
    "structure": "diagnose.structure.structure",
    "value_and_divergence": "derivatives.fields",
    "value_and_gradient": "derivatives.operators",
    "value_and_hvp": "derivatives.operators",
    "value_and_jacobian": "derivatives.operators",
    "value_and_jvp": "derivatives.operators",
    "value_and_laplacian": "derivatives.fields",
    "value_and_partial": "derivatives.fields",
    "value_and_sparse_jacobian": "derivatives.sparse.sparse_jacobian",
    "value_and_vjp": "derivatives.operators",
    "value_gradient_and_hessian": "derivatives.operators",
    "vjp": "derivatives.operators",
    "wrap_external": "custom.external.wrap_external",
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
