"""The names of tfgradkit, and where each is at home: the one list, for type checkers, editors and the lazy loader."""

from . import attribution as attribution
from . import errors as errors
from . import layers as layers
from . import report as report
from . import types as types
from .custom.checkpoint.checkpoint import checkpoint as checkpoint
from .custom.external.wrap_external import wrap_external as wrap_external
from .custom.implicit.implicit import implicit as implicit
from .custom.override.backward_transforms import straight_through as straight_through
from .custom.override.override_gradient import clip_gradient as clip_gradient
from .custom.override.override_gradient import override_gradient as override_gradient
from .custom.override.override_gradient import reverse_gradient as reverse_gradient
from .custom.override.override_gradient import stop_gradient as stop_gradient
from .custom.rule.custom_rule import custom_rule as custom_rule
from .diagnose.audit.audit import audit as audit
from .diagnose.check.check_batch_independence import check_batch_independence as check_batch_independence
from .diagnose.check.check_gradients import check_gradients as check_gradients
from .diagnose.explain.explain import explain as explain
from .diagnose.explain.explaining_tape import ExplainingTape as ExplainingTape
from .diagnose.graph.graph_summary import graph_summary as graph_summary
from .diagnose.graph.graph_tree import graph_tree as graph_tree
from .diagnose.graph.simplify import simplify as simplify
from .diagnose.nonfinite.locate_nonfinite import locate_nonfinite as locate_nonfinite
from .diagnose.structure.structure import structure as structure
from .export.export_saved_model import export_saved_model as export_saved_model
from .export.native.export_native import export_native as export_native
from .native import load_native as load_native
from .op_gradients.register_gradient import register_gradient as register_gradient
from .op_gradients.register_gradient import registered_gradients as registered_gradients
from .public_operators import divergence as divergence
from .public_operators import gradient as gradient
from .public_operators import hessian as hessian
from .public_operators import hvp as hvp
from .public_operators import jacobian as jacobian
from .public_operators import jvp as jvp
from .public_operators import laplacian as laplacian
from .public_operators import linearize as linearize
from .public_operators import partial as partial
from .public_operators import sparse_jacobian as sparse_jacobian
from .public_operators import value_and_divergence as value_and_divergence
from .public_operators import value_and_gradient as value_and_gradient
from .public_operators import value_and_hvp as value_and_hvp
from .public_operators import value_and_jacobian as value_and_jacobian
from .public_operators import value_and_jvp as value_and_jvp
from .public_operators import value_and_laplacian as value_and_laplacian
from .public_operators import value_and_partial as value_and_partial
from .public_operators import value_and_sparse_jacobian as value_and_sparse_jacobian
from .public_operators import value_and_vjp as value_and_vjp
from .public_operators import value_gradient_and_hessian as value_gradient_and_hessian
from .public_operators import vjp as vjp
from .sources.load import load as load
from .types import Audit as Audit
from .types import BatchIndependence as BatchIndependence
from .types import Connection as Connection
from .types import Derivative as Derivative
from .types import Explanation as Explanation
from .types import GradientCheck as GradientCheck
from .types import LinearMap as LinearMap
from .types import NativeLibrary as NativeLibrary
from .types import NonFinite as NonFinite
from .types import Obstacle as Obstacle

__version__: str

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
    "types",
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
