"""Whether a function is smooth, so that its second derivatives are symmetric (Schwarz's theorem)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Infinitely often differentiable wherever their result is finite.
_SMOOTH = frozenset(
    {
        *("Add", "AddN", "AddV2", "Sub", "Mul", "Neg", "Square", "SquaredDifference", "RealDiv", "Div", "Reciprocal"),
        *("Inv", "Exp", "Expm1", "Log", "Log1p", "Sqrt", "Rsqrt", "Pow", "Sin", "Cos", "Tan", "Sinh", "Cosh", "Tanh"),
        *("Asinh", "Acosh", "Atanh", "Asin", "Acos", "Atan", "Atan2", "Sigmoid", "Softplus", "Erf", "Erfc", "Lgamma"),
        *("Digamma", "Softmax", "LogSoftmax", "L2Loss", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum", "BiasAdd"),
        *("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "AvgPool", "AvgPool3D"),
        *(
            "Sum",
            "Mean",
            "Prod",
            "Cumsum",
            "MatrixInverse",
            "MatrixSolve",
            "Cholesky",
            "MatrixDiagV3",
            "MatrixDiagPartV3",
        ),
        *("Identity", "Reshape", "ExpandDims", "Squeeze", "Transpose", "ConcatV2", "Pack", "Unpack", "Split", "SplitV"),
        *("Slice", "StridedSlice", "GatherV2", "GatherNd", "Pad", "PadV2", "Tile", "BroadcastTo", "Cast", "ReverseV2"),
        *("PartitionedCall", "StatefulPartitionedCall", "ReadVariableOp", "Real", "Imag", "Complex", "EnsureShape"),
    }
)


def is_smooth(operations: Iterable[Any]) -> bool:
    """Whether all of ``operations`` are known to be smooth, and have their own gradients."""
    return all(
        operation.type in _SMOOTH and "_gradient_op_type" not in operation.node_def.attr for operation in operations
    )
