"""Facts about TensorFlow's ops, each said once: which call functions, which end a gradient, which are smooth.

An op calls functions in one of three ways. A call hands its inputs to one function. A branch has several, of which its
first input chooses one. A loop has a condition and a body, and its inputs are the variables of its first turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import tensorflow as tf

V = TypeVar("V")

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
LOOPS = frozenset({"While", "StatelessWhile"})
_FUNCTIONS = {
    **dict.fromkeys(CALLS, ("f",)),
    **dict.fromkeys(LOOPS, ("cond", "body")),
    **dict.fromkeys(("If", "StatelessIf"), ("then_branch", "else_branch")),
    **dict.fromkeys(("Case", "StatelessCase"), ("branches",)),
}
CALLERS = frozenset(_FUNCTIONS)
BRANCHES = frozenset(_FUNCTIONS) - CALLS - LOOPS
# The ops of loops in TensorFlow 1, which take results of later ops; and those that only choose and join branches.
OLD_LOOPS = frozenset({"Enter", "RefEnter", "NextIteration", "RefNextIteration", "Exit", "RefExit"})
OLD_BRANCHES = frozenset({"Switch", "RefSwitch", "Merge", "RefMerge"})

# A gradient ends here by intent: it is stopped, or the result is a size or a constant.
INTENDED_ENDS = frozenset(
    {"StopGradient", "PreventGradient", "Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "VariableShape"}
)
ROUNDING = frozenset({"Round", "Rint"})
# The derivative of a step function is zero wherever it exists: TensorFlow's rules say None, or zeros.
STEPS = ROUNDING | {"Floor", "Ceil", "Sign", "FloorDiv", "TruncateDiv"}
COMPARISONS = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"})
SELECTS = frozenset({"Select", "SelectV2"})

# Each element of the result comes from the same elements of the inputs, which may be broadcast.
_ELEMENTWISE = """
Identity Snapshot Cast Abs Acos Acosh Asin Asinh Atan Atanh Cos Cosh Digamma Elu Erf Erfc Erfinv Exp Expm1 Inv
Lgamma Log Log1p Ndtri Neg Reciprocal Relu Relu6 Rint Round Floor Ceil Sign Rsqrt Selu Sigmoid Sin Sinh Softplus
Softsign Sqrt Square Tan Tanh LeakyRelu StopGradient PreventGradient
Add AddV2 AddN Sub Mul MulNoNan Div DivNoNan RealDiv FloorMod FloorDiv Mod Maximum Minimum Pow SquaredDifference
Xdivy Xlogy Xlog1py Atan2 ClipByValue ReluGrad Relu6Grad EluGrad SeluGrad LeakyReluGrad
SigmoidGrad TanhGrad SoftplusGrad SoftsignGrad SqrtGrad RsqrtGrad ReciprocalGrad InvGrad
"""
ELEMENTWISE = SELECTS | frozenset(_ELEMENTWISE.split())
# Infinitely often differentiable wherever their result is finite.
_SMOOTH = """
Add AddN AddV2 Sub Mul Neg Square SquaredDifference RealDiv Div Reciprocal Inv Exp Expm1 Log Log1p Sqrt Rsqrt Pow
Sin Cos Tan Sinh Cosh Tanh Asinh Acosh Atanh Asin Acos Atan Atan2 Sigmoid Softplus Erf Erfc Lgamma Digamma
Softmax LogSoftmax L2Loss MatMul BatchMatMul BatchMatMulV2 Einsum BiasAdd
Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput AvgPool AvgPool3D
Sum Mean Prod Cumsum MatrixInverse MatrixSolve Cholesky MatrixDiagV3 MatrixDiagPartV3
Identity Reshape ExpandDims Squeeze Transpose ConcatV2 Pack Unpack Split SplitV
Slice StridedSlice GatherV2 GatherNd Pad PadV2 Tile BroadcastTo Cast ReverseV2
ReadVariableOp Real Imag Complex EnsureShape
"""
SMOOTH = CALLS | frozenset(_SMOOTH.split())


def carries(dtype: tf.DType) -> bool:
    """Whether tensors of a dtype may lead a derivative on; resources and variants may hold such tensors."""
    return bool(dtype.is_floating or dtype.is_complex or dtype in (tf.resource, tf.variant))


def has_own_gradient(operation: Any) -> bool:
    """Whether a user replaced an op's gradient, by ``tf.custom_gradient`` or ``tf.Graph.gradient_override_map``."""
    if operation.type == "Const":  # whose attributes may be large
        return False
    attributes = operation.node_def.attr
    return "_gradient_op_type" in attributes and "f" not in attributes


def functions_of(operation: Any) -> list[Any]:
    """The graphs of the functions of a call, a branch or a loop, in the order of its attributes; none for other ops.

    Those of a loop are the condition and the body. None stands for a graph that TensorFlow doesn't have.
    """
    if operation.type not in _FUNCTIONS:
        return []
    attributes = operation.node_def.attr
    return [_graph(operation, name) for key in _FUNCTIONS[operation.type] for name in _names(attributes[key])]


def handed_over(operation: Any, values: Sequence[V]) -> Sequence[V]:
    """Of ``values``, one for each input of an op, those that go to the functions it calls."""
    return values[1 if operation.type in BRANCHES else 0 :]


def calls_functions(operation: Any) -> bool:
    """Whether an op of any kind calls functions."""
    return any(attribute.HasField("func") or attribute.list.func for attribute in operation.node_def.attr.values())


def called_graphs(operation: Any) -> list[Any]:
    """The graphs of all functions that an op of any kind calls, as far as TensorFlow has them."""
    if operation.type == "Const":
        return []
    attributes = operation.node_def.attr
    # Sorted, since the map of a protocol buffer has no fixed order.
    keys = _FUNCTIONS.get(operation.type) or sorted(attributes)
    names = [name for key in keys for name in _names(attributes[key])]
    return [graph for graph in (_graph(operation, name) for name in names) if graph is not None]


def everywhere(operations: Iterable[Any]) -> Iterator[Any]:
    """All ``operations``, each followed by the ops of the functions it calls."""
    for operation in operations:
        yield operation
        for graph in called_graphs(operation):
            yield from everywhere(graph.get_operations())


def op_types(graph: Any) -> set[str]:
    """The types of all ops of a graph and of the functions it calls."""
    return {operation.type for operation in everywhere(graph.get_operations())}


def assigns(operations: Iterable[Any]) -> bool:
    """Whether one of ``operations``, or an op in the functions they call, changes a variable."""
    return any(operation.type.startswith("Assign") for operation in everywhere(operations))


def _names(attribute: Any) -> list[str]:
    return [attribute.func.name] if attribute.HasField("func") else [function.name for function in attribute.list.func]


def _graph(operation: Any, name: str) -> Any:
    return getattr(operation.graph._get_function(name), "graph", None)
