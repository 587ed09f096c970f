"""How many orders of derivatives TensorFlow's own gradients have: measured, op by op, where one can be called.

An op is called with arguments that fit its definition, or with those in ``CALLS``; a nested derivative is built
until TensorFlow says that an op on the way has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfgradkit.op_gradients.registry import carries, definition, entry, names

ORDERS = 3
_SHAPES = ((), (3,), (2, 2), (1, 4, 4, 1), (1, 4, 4, 4, 1))
_WANTED = {tf.float32.as_datatype_enum: tf.float32, tf.float64.as_datatype_enum: tf.float64,
           tf.complex64.as_datatype_enum: tf.complex64, tf.complex128.as_datatype_enum: tf.complex128}  # fmt: skip
R = tf.raw_ops


def measured_orders(ops: Iterable[str] | None = None) -> dict[str, str]:
    """For each op with a gradient that could be called, or of ``ops``: what is known of its orders."""
    found = {}
    for op in names() if ops is None else ops:
        if carries(op) and callable(entry(op)):
            count = _orders(op)
            if count is not None:
                found[op] = _TEXT.get(count[0], f"order {count[0]}: {count[1]}")
    return found


_TEXT = {ORDERS: f"order {ORDERS} and, as far as is known, every one"}


def _orders(op: str) -> tuple[int, str] | None:
    for call, xs in _calls(op):
        with tf.Graph().as_default():
            given = [tf.constant(x) for x in xs]
            try:
                ys = call(*given)
            except (KeyError, NotImplementedError, TypeError, ValueError, tf.errors.OpError):
                continue
            return _nested([y for y in tf.nest.flatten(ys) if _is_number(y)], given)
    return None


def _nested(ys: list[Any], xs: list[Any]) -> tuple[int, str] | None:
    for order in range(1, ORDERS + 1):
        try:
            slopes = tf.gradients([_bent(y) for y in ys], xs, unconnected_gradients="none")
        except IndexError:
            return None
        except LookupError as error:
            return order - 1, _missing(str(error))
        except (AssertionError, AttributeError, NotImplementedError, TypeError, ValueError):
            return None
        ys = [tf.convert_to_tensor(slope) for slope in slopes if slope is not None]
        if not ys:
            return order - 1, "further ones are zero, or lost" if order > 1 else "always zero"
    return ORDERS, ""


def _missing(message: str) -> str:
    """What TensorFlow says is missing, in short."""
    op = re.search(r"\(op type: (\w+)\)", message)
    return f"{op[1]} has none" if op else "TensorFlow disables further ones"


def _bent(y: Any) -> Any:
    """A curved function, so that a further derivative asks every op on the way again."""
    return tf.reduce_sum(tf.sin(y) if y.dtype.is_floating else tf.math.real(y * y * y))


def _is_number(y: Any) -> bool:
    return isinstance(y, tf.Tensor) and (y.dtype.is_floating or y.dtype.is_complex)


def _calls(op: str) -> Iterator[tuple[Callable[..., Any], list[np.ndarray]]]:
    if op in CALLS:
        call, *shapes = CALLS[op]
        # Least squares want float64 beside them.
        dtype = tf.float64 if op == "MatrixSolveLs" else tf.float32
        yield call, [_numbers(shape, dtype) for shape in shapes]
        return
    arguments = definition(op).input_arg
    dtypes = [_dtype(argument, definition(op)) for argument in arguments]
    if any(dtype is None for dtype in dtypes) or len(dtypes) > 3:
        return
    names_of = [argument.name for argument in arguments]
    raw = getattr(R, op)
    for shape in _SHAPES:
        yield (lambda *xs: raw(**dict(zip(names_of, xs, strict=True)))), [_numbers(shape, d) for d in dtypes]


def _dtype(argument: Any, op: Any) -> tf.DType | None:
    """Of a single tensor of numbers; None for anything else."""
    if argument.number_attr or argument.type_list_attr:
        return None
    if argument.type:
        return _WANTED.get(argument.type)
    attr = next(attr for attr in op.attr if attr.name == argument.type_attr)
    allowed = attr.allowed_values.list.type
    fitting = [dtype for number, dtype in _WANTED.items() if number in allowed]
    return fitting[0] if fitting else None if allowed else tf.float32


def _numbers(shape: Any, dtype: tf.DType) -> np.ndarray:
    count = int(np.prod(shape))
    values = np.linspace(0.15, 0.85, count).reshape(shape) if count > 1 else np.full(shape, 0.4)
    return values.astype(dtype.as_numpy_dtype)


V, M, IMAGE, VOLUME = (4,), (2, 2), (1, 4, 4, 2), (1, 3, 3, 3, 1)
_ONES, _TWOS, _THREES = [1, 1, 1, 1], [1, 2, 2, 1], [1, 2, 2, 2, 1]
_SPARSE: dict[str, Any] = {"a_indices": [[0, 0], [1, 1]], "a_values": [1.0, 2.0], "a_shape": [2, 2]}


def _conv(op: str, strides: list[int] = _ONES, **more: Any) -> Callable[..., Any]:
    return lambda x, k: getattr(R, op)(input=x, filter=k, strides=strides, padding="VALID", **more)


def _pool(op: str, window: list[int] = _TWOS, name: str = "input") -> Callable[..., Any]:
    return lambda x: getattr(R, op)(**{name: x}, ksize=window, strides=window, padding="VALID")


def _reduce(op: str) -> Callable[..., Any]:
    return lambda x: getattr(R, op)(input=x, axis=[0])


def _segment(op: str, **more: Any) -> Callable[..., Any]:
    return lambda x: getattr(R, op)(data=x, segment_ids=[0, 1], **more)


def _sparse_segment(op: str, **more: Any) -> Callable[..., Any]:
    return lambda x: getattr(R, op)(data=x, indices=[1, 0], segment_ids=[0, 1], **more)


def _scattered(op: str) -> Callable[..., Any]:
    return lambda x, u: getattr(R, op)(tensor=x, indices=[[0], [2]], updates=u)


def _with_sparse(op: str) -> Callable[..., Any]:
    return lambda v, x: getattr(R, op)(sp_indices=[[0, 0], [1, 1]], sp_values=v, sp_shape=[2, 2], dense=x)


# A call, and the shapes of its arguments.
CALLS: dict[str, tuple[Any, ...]] = {
    "AccumulateNV2": (lambda x, y: R.AccumulateNV2(inputs=[x, y], shape=[4]), V, V),
    "AddN": (lambda x, y: R.AddN(inputs=[x, y]), V, V),
    "ApproxTopK": (lambda x: R.ApproxTopK(input=x, k=2), V),
    "AvgPool": (_pool("AvgPool", name="value"), IMAGE),
    "AvgPool3D": (_pool("AvgPool3D", _THREES), VOLUME),
    "BatchMatMulV3": (lambda x, y: R.BatchMatMulV3(x=x, y=y, Tout=tf.float32), M, M),
    "BatchToSpaceND": (lambda x: R.BatchToSpaceND(input=x, block_shape=[2], crops=[[0, 0]]), (2, 3)),
    "BiasAdd": (lambda x, b: R.BiasAdd(value=x, bias=b), M, (2,)),
    "BroadcastTo": (lambda x: R.BroadcastTo(input=x, shape=[3, 4]), V),
    "CTCLoss": (
        lambda x: R.CTCLoss(inputs=x, labels_indices=[[0, 0]], labels_values=[1], sequence_length=[3])[0],
        (3, 1, 3),
    ),
    "Cast": (lambda x: R.Cast(x=x, DstT=tf.float64), V),
    "CheckNumerics": (lambda x: R.CheckNumerics(tensor=x, message=""), V),
    "ConcatV2": (lambda x, y: R.ConcatV2(values=[x, y], axis=0), V, V),
    "ConjugateTranspose": (lambda x: R.ConjugateTranspose(x=x, perm=[1, 0]), M),
    "Conv2D": (_conv("Conv2D"), IMAGE, (2, 2, 2, 1)),
    "Conv3D": (_conv("Conv3D", [1] * 5), VOLUME, (2, 2, 2, 1, 1)),
    "CropAndResize": (lambda x, b: R.CropAndResize(image=x, boxes=b, box_ind=[0], crop_size=[2, 2]), IMAGE, (1, 4)),
    "Cumprod": (lambda x: R.Cumprod(x=x, axis=0), V),
    "Cumsum": (lambda x: R.Cumsum(x=x, axis=0), V),
    "CumulativeLogsumexp": (lambda x: R.CumulativeLogsumexp(x=x, axis=0), V),
    "DepthToSpace": (lambda x: R.DepthToSpace(input=x, block_size=2), (1, 2, 2, 4)),
    "DepthwiseConv2dNative": (_conv("DepthwiseConv2dNative"), IMAGE, (2, 2, 2, 1)),
    "Dilation2D": (_conv("Dilation2D", rates=_ONES), IMAGE, (2, 2, 2)),
    "DynamicPartition": (lambda x: R.DynamicPartition(data=x, partitions=[0, 1, 0, 1], num_partitions=2), V),
    "DynamicStitch": (lambda x: R.DynamicStitch(indices=[[0, 2, 1, 3]], data=[x]), V),
    "Eig": (lambda x: R.Eig(input=x, Tout=tf.complex64, compute_v=True), M),
    "Einsum": (lambda x, y: R.Einsum(inputs=[x, y], equation="ij,jk->ik"), M, M),
    "EnsureShape": (lambda x: R.EnsureShape(input=x, shape=[4]), V),
    "EuclideanNorm": (_reduce("EuclideanNorm"), M),
    "ExpandDims": (lambda x: R.ExpandDims(input=x, axis=0), V),
    "ExtractImagePatches": (
        lambda x: R.ExtractImagePatches(images=x, ksizes=_TWOS, strides=_ONES, rates=_ONES, padding="VALID"),
        IMAGE,
    ),
    "ExtractVolumePatches": (
        lambda x: R.ExtractVolumePatches(input=x, ksizes=_THREES, strides=[1] * 5, padding="VALID"),
        VOLUME,
    ),
    "Fill": (lambda x: R.Fill(dims=[3], value=x), ()),
    "FractionalAvgPool": (lambda x: R.FractionalAvgPool(value=x, pooling_ratio=[1.0, 1.5, 1.5, 1.0])[0], IMAGE),
    "FractionalMaxPool": (lambda x: R.FractionalMaxPool(value=x, pooling_ratio=[1.0, 1.5, 1.5, 1.0])[0], IMAGE),
    **{
        f"FusedBatchNorm{v}": (
            lambda x, s, o, v=v: getattr(R, f"FusedBatchNorm{v}")(x=x, scale=s, offset=o, mean=[], variance=[])[0],
            IMAGE,
            (2,),
            (2,),
        )
        for v in ("", "V2", "V3")
    },
    "Gather": (lambda x: R.Gather(params=x, indices=[1, 0]), V),
    "GatherNd": (lambda x: R.GatherNd(params=x, indices=[[1], [0]]), V),
    "GatherV2": (lambda x: R.GatherV2(params=x, indices=[1, 0], axis=0), V),
    "IRFFT": (lambda x: R.IRFFT(input=tf.complex(x, x), fft_length=[6]), V),
    "IRFFT2D": (lambda x: R.IRFFT2D(input=tf.complex(x, x), fft_length=[2, 2]), M),
    "IdentityN": (lambda x: R.IdentityN(input=[x]), V),
    "IsotonicRegression": (lambda x: R.IsotonicRegression(input=x)[0], M),
    "MatrixBandPart": (lambda x: R.MatrixBandPart(input=x, num_lower=0, num_upper=1), M),
    "MatrixDiagPartV3": (lambda x: R.MatrixDiagPartV3(input=x, k=0, padding_value=0.0), M),
    "MatrixDiagV3": (lambda x: R.MatrixDiagV3(diagonal=x, k=0, num_rows=-1, num_cols=-1, padding_value=0.0), V),
    "MatrixSetDiag": (lambda x, d: R.MatrixSetDiag(input=x, diagonal=d), M, (2,)),
    "MatrixSetDiagV3": (lambda x, d: R.MatrixSetDiagV3(input=x, diagonal=d, k=0), M, (2,)),
    "MatrixSolveLs": (
        lambda x, y: R.MatrixSolveLs(matrix=x, rhs=y, l2_regularizer=tf.constant(0.1, tf.float64), fast=True),
        M,
        M,
    ),
    **{op: (_reduce(op), M) for op in ("Max", "Mean", "Min", "Prod", "Sum")},
    "MaxPool": (_pool("MaxPool"), IMAGE),
    "MaxPool3D": (_pool("MaxPool3D", _THREES), VOLUME),
    "MaxPoolV2": (_pool("MaxPoolV2"), IMAGE),
    "MaxPoolWithArgmax": (
        lambda x: R.MaxPoolWithArgmax(input=x, ksize=_TWOS, strides=_TWOS, padding="VALID")[0],
        IMAGE,
    ),
    "MirrorPad": (lambda x: R.MirrorPad(input=x, paddings=[[1, 1]], mode="REFLECT"), V),
    "NthElement": (lambda x: R.NthElement(input=x, n=1), V),
    "Pack": (lambda x, y: R.Pack(values=[x, y]), V, V),
    "Pad": (lambda x: R.Pad(input=x, paddings=[[1, 1]]), V),
    "PadV2": (lambda x, c: R.PadV2(input=x, paddings=[[1, 1]], constant_values=c), V, ()),
    "ParallelDynamicStitch": (lambda x: R.ParallelDynamicStitch(indices=[[0, 2, 1, 3]], data=[x]), V),
    "QuantizeAndDequantizeV3": (
        lambda x: R.QuantizeAndDequantizeV3(input=x, input_min=0.0, input_max=1.0, num_bits=8),
        V,
    ),
    "QuantizeAndDequantizeV4": (lambda x: R.QuantizeAndDequantizeV4(input=x, input_min=0.0, input_max=1.0), V),
    "RFFT": (lambda x: R.RFFT(input=x, fft_length=[4]), V),
    "RFFT2D": (lambda x: R.RFFT2D(input=x, fft_length=[2, 2]), M),
    "RandomGamma": (lambda a: R.RandomGamma(shape=[2], alpha=a), V),
    "Reshape": (lambda x: R.Reshape(tensor=x, shape=[2, 2]), V),
    "ResizeBicubic": (lambda x: R.ResizeBicubic(images=x, size=[3, 5]), IMAGE),
    "ResizeNearestNeighbor": (lambda x: R.ResizeNearestNeighbor(images=x, size=[3, 5]), IMAGE),
    "ReverseSequence": (lambda x: R.ReverseSequence(input=x, seq_lengths=[1, 2], seq_dim=1), M),
    "ReverseV2": (lambda x: R.ReverseV2(tensor=x, axis=[0]), V),
    "Roll": (lambda x: R.Roll(input=x, shift=1, axis=0), V),
    "ScatterNd": (lambda x: R.ScatterNd(indices=[[3], [0], [1], [2]], updates=x, shape=[5]), V),
    **{f"Segment{op}": (_segment(f"Segment{op}"), M) for op in ("Max", "Mean", "Min", "Prod", "Sum")},
    "Select": (lambda x, y: R.Select(condition=[True, False, True, False], x=x, y=y), V, V),
    "SelectV2": (lambda x, y: R.SelectV2(condition=[True, False, True, False], t=x, e=y), V, V),
    "Slice": (lambda x: R.Slice(input=x, begin=[1], size=[2]), V),
    "SpaceToBatchND": (lambda x: R.SpaceToBatchND(input=x, block_shape=[2], paddings=[[0, 0]]), (1, 4)),
    "SpaceToDepth": (lambda x: R.SpaceToDepth(input=x, block_size=2), IMAGE),
    "SparseAdd": (
        lambda v: (
            R.SparseAdd(
                **{**_SPARSE, "a_values": v}, b_indices=[[0, 0]], b_values=[1.0], b_shape=[2, 2], thresh=0.0
            ).sum_values
        ),
        (2,),
    ),
    **{op: (_with_sparse(op), (2,), M) for op in ("SparseDenseCwiseDiv", "SparseDenseCwiseMul")},
    "SparseFillEmptyRows": (
        lambda v, d: R.SparseFillEmptyRows(indices=[[0, 0], [2, 1]], values=v, dense_shape=[3, 2], default_value=d)[1],
        (2,),
        (),
    ),
    "SparseReduceSum": (
        lambda v: R.SparseReduceSum(
            input_indices=[[0, 0], [1, 1]], input_values=v, input_shape=[2, 2], reduction_axes=[0]
        ),
        (2,),
    ),
    "SparseReorder": (
        lambda v: R.SparseReorder(input_indices=[[1, 1], [0, 0]], input_values=v, input_shape=[2, 2])[1],
        (2,),
    ),
    **{f"SparseSegment{op}": (_sparse_segment(f"SparseSegment{op}"), M) for op in ("Mean", "SqrtN", "Sum")},
    **{
        f"SparseSegment{op}WithNumSegments": (_sparse_segment(f"SparseSegment{op}WithNumSegments", num_segments=3), M)
        for op in ("Mean", "SqrtN", "Sum")
    },
    "SparseSlice": (
        lambda v: R.SparseSlice(indices=[[0, 0], [1, 1]], values=v, shape=[2, 2], start=[0, 0], size=[1, 2])[1],
        (2,),
    ),
    "SparseSoftmax": (lambda v: R.SparseSoftmax(sp_indices=[[0, 0], [0, 1]], sp_values=v, sp_shape=[2, 2]), (2,)),
    "SparseSoftmaxCrossEntropyWithLogits": (
        lambda x: R.SparseSoftmaxCrossEntropyWithLogits(features=x, labels=[0, 1])[0],
        M,
    ),
    "SparseTensorDenseAdd": (lambda v, x: R.SparseTensorDenseAdd(**{**_SPARSE, "a_values": v}, b=x), (2,), M),
    "SparseTensorDenseMatMul": (lambda v, x: R.SparseTensorDenseMatMul(**{**_SPARSE, "a_values": v}, b=x), (2,), M),
    "SparseToDense": (
        lambda v: R.SparseToDense(sparse_indices=[0, 2], output_shape=[4], sparse_values=v, default_value=0.0),
        (2,),
    ),
    "Split": (lambda x: R.Split(axis=0, value=x, num_split=2), V),
    "SplitV": (lambda x: R.SplitV(value=x, size_splits=[1, 3], axis=0, num_split=2), V),
    "StatelessRandomGammaV2": (lambda a: R.StatelessRandomGammaV2(shape=[4], seed=[1, 2], alpha=a), V),
    "StridedSlice": (lambda x: x[::2], V),
    **{
        op: (_scattered(op), V, (2,))
        for op in (
            "TensorScatterAdd",
            "TensorScatterMax",
            "TensorScatterMin",
            "TensorScatterSub",
            "TensorScatterUpdate",
        )
    },
    "TensorStridedSliceUpdate": (
        lambda x, u: R.TensorStridedSliceUpdate(input=x, begin=[0], end=[2], strides=[1], value=u),
        V,
        (2,),
    ),
    "Tile": (lambda x: R.Tile(input=x, multiples=[2]), V),
    "TopKV2": (lambda x: R.TopKV2(input=x, k=2)[0], V),
    "Transpose": (lambda x: R.Transpose(x=x, perm=[1, 0]), M),
    "TridiagonalMatMul": (
        lambda a, b, c, x: R.TridiagonalMatMul(superdiag=a, maindiag=b, subdiag=c, rhs=x),
        (1, 4),
        (1, 4),
        (1, 4),
        (4, 2),
    ),
    "TridiagonalSolve": (lambda d, x: R.TridiagonalSolve(diagonals=d, rhs=x), (3, 4), (4, 2)),
    "Unpack": (lambda x: R.Unpack(value=x, num=2), M),
    **{
        f"UnsortedSegment{op}": (_segment(f"UnsortedSegment{op}", num_segments=3), M)
        for op in ("Max", "Min", "Prod", "Sum")
    },
}
