"""Along which axis of a tensor the samples of a batch lie, op by op.

An op keeps the samples apart if each entry along that axis of its result depends on the same entry of its arguments
alone. A rule gives the axis of the result, or says that the op mixes samples. ``vmap``'s batching rules do the reverse:
they carry a batch axis through an op that was written without one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...graph.python_code import function_behind


@dataclass(frozen=True)
class Rows:
    """Where the samples of a tensor are.

    Attributes:
        axis: the axis that counts them; of a TensorList, the axis of its elements.
        each: how many consecutive entries along the axis belong to a sample: more than 1 after a reshape merged axes.
    """

    axis: int
    each: int = 1


class MixingError(Exception):
    """An entry of the op's result depends on several samples."""


class UnknownError(Exception):
    """It is not known what the op does to the samples."""


# None: the tensor does not depend on the samples.
AxisState = Rows | None
AxisRule = Callable[[Any, Sequence[AxisState]], Sequence[AxisState]]
RULES: dict[str, AxisRule] = {}
# TensorFlow's names for the gradients of our own ``tf.custom_gradient``s that keep the samples apart.
SEPARATE: set[bytes] = set()


def keeps(*op_types: str) -> Callable[[AxisRule], AxisRule]:
    """Registers a rule, which takes an op and the states of its inputs, and gives the states of its outputs.

    ``op_types`` are names separated by blanks.
    """

    def decorate(rule: AxisRule) -> AxisRule:
        RULES.update(dict.fromkeys(" ".join(op_types).split(), rule))
        return rule

    return decorate


def tainted(op: Any, states: Sequence[AxisState]) -> list[tuple[Any, Rows]]:
    """The inputs that hold samples, with their states."""
    return [(tensor, state) for tensor, state in zip(op.inputs, states, strict=True) if state is not None]


def rank(tensor: Any) -> int:
    """The number of axes.

    Raises:
        UnknownError: it is not known.
    """
    if tensor.shape.rank is None:
        raise UnknownError
    return int(tensor.shape.rank)


def agreed(found: Sequence[Any]) -> Any:
    """The value that all of ``found`` have.

    Raises:
        MixingError: they differ.
    """
    if len(set(found)) != 1:
        raise MixingError
    return found[0]


def outputs(op: Any, state: AxisState) -> list[AxisState]:
    """The same state for every output."""
    return [state] * len(op.outputs)


@keeps(
    "Abs Acos Acosh Add AddN AddV2 Angle Asin Asinh Atan Atan2 Atanh BesselI0e BesselI1e Cast Ceil",
    "CheckNumerics ClipByValue Complex ComplexAbs Conj Cos Cosh Digamma Div DivNoNan Elu EluGrad",
    "EnsureShape Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Identity Imag Inv InvGrad IsFinite",
    "LeakyRelu LeakyReluGrad Lgamma Log Log1p Maximum Minimum Mul MulNoNan Ndtri Neg NextAfter",
    "PlaceholderWithDefault Polygamma Pow PreventGradient Real RealDiv Reciprocal ReciprocalGrad Relu Relu6",
    "Relu6Grad ReluGrad Rint Round Rsqrt RsqrtGrad Select SelectV2 Selu SeluGrad Sigmoid SigmoidGrad",
    "Sign Sin Sinh Snapshot Softplus SoftplusGrad Softsign SoftsignGrad Sqrt SqrtGrad Square",
    "SquaredDifference Sub Tan Tanh TanhGrad Xdivy Xlog1py Xlogy Zeta BroadcastTo",
)
def _elementwise(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    """Broadcasting aligns axes at the end; two operands must have their samples on the same one."""
    ends = []
    for tensor, state in zip(op.inputs, states, strict=True):
        if state is not None:
            ends.append((rank(tensor) - state.axis, state.each))
    end, each = agreed(ends)
    return [Rows(rank(op.outputs[0]) - end, each)]


@keeps("StopGradient", "ZerosLike", "OnesLike")
def _no_derivative(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    """A result without a derivative mixes no samples."""
    return outputs(op, None)


@keeps("IdentityN")
def _by_position(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    """A ``tf.custom_gradient`` has this op around it, and its gradient may do anything."""
    if "_gradient_op_type" not in op.node_def.attr or function_behind(op.name) is not None:
        return states
    if op.node_def.attr["_gradient_op_type"].s not in SEPARATE:
        raise UnknownError
    # The results come first, then the arguments.
    return [agreed([state for _, state in tainted(op, states)]) if s is None else s for s in states]


@keeps("PyFuncStateless")
def _sample_by_sample(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    """Functions of ``wrap_external`` are declared to keep the samples apart; other Python code may do anything."""
    if function_behind(op.name) is None:
        raise UnknownError
    return outputs(op, agreed([state for state in states if state is not None]))


@keeps("BiasAdd")
def _bias(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    channels = 1 if op.get_attr("data_format") == b"NCHW" else rank(op.inputs[0]) - 1
    if states[1] is not None or states[0] is None or states[0].axis == channels:
        raise MixingError
    return [states[0]]


@keeps("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def _product(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    """Of the two last axes one is summed over; samples may lie on the other one, or on an axis before the two."""
    turned = [_flag(op, "transpose_a", "adj_x"), _flag(op, "transpose_b", "adj_y")]
    ends = []
    for side, (tensor, state) in enumerate(zip(op.inputs, states, strict=True)):
        if state is None:
            continue
        end = rank(tensor) - state.axis
        if end <= 2:
            # The kept axis: rows of the left operand, columns of the right one.
            kept = (1 if turned[0] else 2) if side == 0 else (2 if turned[1] else 1)
            if end != kept or None not in states:
                raise MixingError
            end = 2 - side
        ends.append((end, state.each))
    end, each = agreed(ends)
    return [Rows(rank(op.outputs[0]) - end, each)]


def _flag(op: Any, name: str, other: str) -> bool:
    return bool(op.get_attr(name if name in op.node_def.attr else other))


@keeps("Einsum")
def _einsum(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    given, _, result = op.get_attr("equation").decode().partition("->")
    labels = [_labels(term, rank(t)) for term, t in zip(given.split(","), op.inputs, strict=True)]
    label, each = agreed([(axes[s.axis], s.each) for axes, s in zip(labels, states, strict=True) if s is not None])
    kept = _labels(result, rank(op.outputs[0]))
    if label not in kept:
        raise MixingError
    return [Rows(kept.index(label), each)]


def _labels(term: str, count: int) -> list[Any]:
    """A label for each axis; the axes of an ellipsis are numbered from its end."""
    if "..." not in term:
        return list(term)
    before, _, after = term.partition("...")
    hidden = count - len(before) - len(after)
    return [*before, *range(-hidden, 0), *after]


@keeps(
    "Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput Conv3DBackpropInputV2",
    "DepthwiseConv2dNativeBackpropInput AvgPool AvgPool3D MaxPool MaxPool3D MaxPoolV2 LRN",
    "ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea DepthToSpace SpaceToDepth",
    "ExtractImagePatches ExtractVolumePatches AvgPoolGrad AvgPool3DGrad MaxPoolGrad MaxPool3DGrad",
    "ResizeBilinearGrad ResizeNearestNeighborGrad ResizeBicubicGrad ImageProjectiveTransformV3",
)
def _images(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    """The first axis counts images; filters may not depend on the samples."""
    filters = {"Conv2D": 1, "Conv3D": 1, "DepthwiseConv2dNative": 1}.get(op.type, 1 if "Input" in op.type else None)
    if filters is not None and states[filters] is not None:
        raise MixingError
    return outputs(op, Rows(0, _first_axis(states)))


def _first_axis(states: Sequence[AxisState]) -> int:
    axis, each = agreed([(s.axis, s.each) for s in states if s is not None])
    if axis != 0:
        raise MixingError
    return int(each)


@keeps("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def _batch_normalization(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    if op.get_attr("is_training") or any(s is not None for s in states[1:]):
        raise MixingError
    return [Rows(0, _first_axis(states)), *[None] * (len(op.outputs) - 1)]


@keeps("Softmax", "LogSoftmax", "TopKV2", "TopK", "FFT", "IFFT", "RFFT", "IRFFT")
def _last_axis(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    return _leading(op, states, 1)


@keeps(
    "MatrixInverse Cholesky MatrixSolve MatrixTriangularSolve MatrixDeterminant LogMatrixDeterminant",
    "MatrixBandPart MatrixExponential FFT2D IFFT2D RFFT2D IRFFT2D",
)
def _matrices(op: Any, states: Sequence[AxisState]) -> Sequence[AxisState]:
    return _leading(op, states, 2)


def _leading(op: Any, states: Sequence[AxisState], own: int) -> Sequence[AxisState]:
    """For an op that works on the last ``own`` axes: the samples have to lie on an axis before these."""
    found = tainted(op, states)
    state = agreed([s for _, s in found])
    agreed([rank(t) for t, _ in found])
    if state.axis >= rank(found[0][0]) - own:
        raise MixingError
    return outputs(op, state)
