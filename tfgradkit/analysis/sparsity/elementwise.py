"""Rules for ops that work element by element, with broadcasting, and for ops that move elements.

The latter run on the numbers of the sets themselves, which shows where each element came from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.emit import computed
from .domain import Dependence, Flow, UnknownSets, rule, static_shape
from .index_sets import EMPTY

_ONE = """
Identity Snapshot CheckNumerics DebugGradientIdentity Cast Abs Acos Acosh Asin Asinh Atan Atanh BesselI0
BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1
ComplexAbs Angle Conj Cos Cosh Dawsn Digamma Elu Erf Erfc Erfinv Exp Expint Expm1 FresnelCos
FresnelSin Imag Inv Lgamma Log Log1p Ndtri Neg Real Reciprocal Relu Relu6 Rint Rsqrt Selu
Sigmoid Sin Sinh Softplus Softsign Spence Sqrt Square Tan Tanh LeakyRelu BiasAdd BiasAddV1
FakeQuantWithMinMaxArgs QuantizeAndDequantizeV2
"""
_SEVERAL = """
Add AddV2 AddN Sub Div DivNoNan RealDiv FloorMod Mod TruncateDiv TruncateMod
Maximum Minimum Pow SquaredDifference Xdivy Xlogy Xlog1py Atan2 Complex Betainc Igamma Igammac
Polygamma Zeta NextAfter ClipByValue Select SelectV2 ReluGrad Relu6Grad EluGrad SeluGrad
LeakyReluGrad SigmoidGrad TanhGrad SoftplusGrad SoftsignGrad SqrtGrad RsqrtGrad ReciprocalGrad
InvGrad AccumulateNV2
"""
# TensorFlow differentiates these as constants. Ops whose results are integers or bools need no entry.
_ZERO = """
Ceil Floor FloorDiv OnesLike PreventGradient Round Sign StopGradient ZerosLike
"""


@rule(*_ONE.split(), *_SEVERAL.split())
def elementwise(flow: Flow, operation: Any) -> Dependence:
    """Each element depends on what the same elements of the inputs depend on."""
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise UnknownSets
    own = [flow.numbers(t) for t in operation.inputs if flow.depends(t)]
    if operation.type.startswith("BiasAdd") and flow.depends(operation.inputs[1]):
        raise UnknownSets
    return [flow.sets.union(np.stack([np.broadcast_to(n, shape) for n in own], -1))]


@rule("Mul", "MulNoNan")
def product(flow: Flow, operation: Any) -> Dependence:
    """As :func:`elementwise`; nothing where a constant factor is zero."""
    (found,) = elementwise(flow, operation)
    for factor in operation.inputs:
        value = None if flow.depends(factor) else flow.constants.value(factor)
        if value is not None and found is not None:
            found = np.where(np.broadcast_to(value, found.shape) == 0, EMPTY, found)
    return [found]


@rule(*_ZERO.split())
def without_derivative(flow: Flow, operation: Any) -> Dependence:
    """The results depend on nothing."""
    return [None] * len(operation.outputs)


@rule("IdentityN")
def one_to_one(flow: Flow, operation: Any) -> Dependence:
    """The results are the inputs."""
    return [flow.value(tensor) for tensor in operation.inputs]


@rule("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def batch_norm(flow: Flow, operation: Any) -> Dependence:
    """With given moments, element by element.

    Raises:
        UnknownSets: in training, or the moments depend on x, too.
    """
    x, *others = operation.inputs
    if operation.get_attr("is_training") or any(flow.depends(t) for t in others):
        raise UnknownSets
    return [flow.numbers(x), *[None] * (len(operation.outputs) - 1)]


_MOVES = """
BatchToSpace BatchToSpaceND BroadcastTo Concat ConcatV2 DepthToSpace Diag DiagPart DynamicStitch
ExtractImagePatches ExtractVolumePatches Gather GatherNd GatherV2 MatrixBandPart MatrixDiag
MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixSetDiag
MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad Pack Pad PadV2 ParallelDynamicStitch ResizeNearestNeighbor
ReverseSequence ReverseV2 Roll Slice SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV StridedSlice
StridedSliceGrad TensorScatterUpdate Tile Transpose Unpack
"""


@rule("Reshape", "Squeeze", "ExpandDims", "EnsureShape")
def reshaped(flow: Flow, operation: Any) -> Dependence:
    """The same elements in another shape."""
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise UnknownSets
    return [flow.numbers(operation.inputs[0]).reshape(shape)]


@rule(*_MOVES.split())
def moved(flow: Flow, operation: Any) -> Dependence:
    """The op itself, run on the numbers of the sets: the zeros that it fills in are the empty set.

    Raises:
        UnknownSets: only a run knows the indices or sizes.
    """
    values = [
        flow.numbers(t) if t.dtype.is_floating or t.dtype.is_complex else flow.constant(t) for t in operation.inputs
    ]
    # float64 holds whole numbers up to 2**53, and every kernel takes it.
    results = computed(operation, values, tf.float64)
    if results is None:
        raise UnknownSets
    return [np.real(result).astype(np.int64) for result in results]
