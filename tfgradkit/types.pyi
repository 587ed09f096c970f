"""The classes of results, and where each is at home: the one list, for type checkers, editors and the lazy loader."""

from .attribution.method import Attribution as Attribution
from .attribution.method import Method as Method
from .custom.external.finite_differences import StepReport as StepReport
from .custom.external.wrap_external import External as External
from .custom.implicit.implicit import Implicit as Implicit
from .custom.implicit.implicit import Solution as Solution
from .custom.override.backward_transforms import StraightThroughFunction as StraightThroughFunction
from .custom.override.backward_transforms import WrappedFunction as WrappedFunction
from .derivatives.batch.independence import BatchIndependence as BatchIndependence
from .derivatives.derivative import Derivative as Derivative
from .derivatives.linearize import Linearize as Linearize
from .derivatives.linearize import LinearMap as LinearMap
from .derivatives.op_by_op.wrong_op import WrongOp as WrongOp
from .derivatives.sparse.compression import ColouredStep as ColouredStep
from .derivatives.sparse.matrices import CSRTensors as CSRTensors
from .derivatives.sparse.sparse_jacobian import SparseJacobian as SparseJacobian
from .derivatives.sweep.plan import Plan as Plan
from .derivatives.sweep.plan import PlanStep as PlanStep
from .diagnose.audit.audit_result import Audit as Audit
from .diagnose.audit.audit_result import Obstacle as Obstacle
from .diagnose.check.gradient_check import Finding as Finding
from .diagnose.check.gradient_check import GradientCheck as GradientCheck
from .diagnose.explain.explanation import Connection as Connection
from .diagnose.explain.explanation import Explanation as Explanation
from .diagnose.graph.graph_summary import GraphSummary as GraphSummary
from .diagnose.nonfinite.finding import NonFinite as NonFinite
from .diagnose.nonfinite.finding import Operand as Operand
from .diagnose.structure.blocks import Block as Block
from .diagnose.structure.blocks import Fact as Fact
from .diagnose.structure.blocks import Structure as Structure
from .differentiable import Differentiable as Differentiable
from .native import NativeLibrary as NativeLibrary
from .op_gradients.register_gradient import RegisteredGradient as RegisteredGradient
from .op_gradients.register_gradient import Registration as Registration

__all__ = [
    "Attribution",
    "Audit",
    "BatchIndependence",
    "Block",
    "CSRTensors",
    "ColouredStep",
    "Connection",
    "Derivative",
    "Differentiable",
    "Explanation",
    "External",
    "Fact",
    "Finding",
    "GradientCheck",
    "GraphSummary",
    "Implicit",
    "LinearMap",
    "Linearize",
    "Method",
    "NativeLibrary",
    "NonFinite",
    "Obstacle",
    "Operand",
    "Plan",
    "PlanStep",
    "RegisteredGradient",
    "Registration",
    "Solution",
    "SparseJacobian",
    "StepReport",
    "StraightThroughFunction",
    "Structure",
    "WrappedFunction",
    "WrongOp",
]
