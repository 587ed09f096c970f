"""A function for each op whose gradient comes with tfgradkit, where it is smooth, for ``test_rules_of_ops.py``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

R = tf.raw_ops


@dataclass(frozen=True)
class Case:
    """A smooth function through one op.

    Attributes:
        op: its type.
        f: of float64 tensors, to one or several.
        args: where.
        batched: whether the first axis of all counts independent samples.
        vectorized: whether TensorFlow has a vectorized form of all ops of its gradient.
        shadow: the same in NumPy, in float64, where TensorFlow's kernel is float32 alone.
        step: of the differences; a long one where the function is linear, or quadratic, in each argument.
        order: how many orders are there; None for every one.
    """

    op: str
    f: Callable[..., Any]
    args: tuple[np.ndarray, ...]
    batched: bool = False
    vectorized: bool = True
    shadow: Callable[..., Any] | None = None
    step: float = 1e-3
    tolerance: float = 1e-8
    order: int | None = None


def numbers(*shape: int, low: float = -1.0, high: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape)


def narrow(f: Callable[..., Any]) -> Callable[..., Any]:
    """A float32 function of float64 tensors."""
    return lambda *xs: tf.nest.map_structure(lambda y: tf.cast(y, tf.float64), f(*(tf.cast(x, tf.float32) for x in xs)))


def as_complex(x: tf.Tensor) -> tf.Tensor:
    return tf.complex(x[..., 0], x[..., 1])


def as_real(z: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.math.real(z), tf.math.imag(z)], -1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def gru(x, h, w_ru, w_c, b_ru, b_c):
    r, u = np.split(sigmoid(np.concatenate([x, h], 1) @ w_ru + b_ru), 2, 1)
    c = np.tanh(np.concatenate([x, r * h], 1) @ w_c + b_c)
    return r, u, c, u * h + (1 - u) * c


def lstm(x, before, h, w, w_i, w_f, w_o, b, bias=1):
    i, ci, f, o = np.split(np.concatenate([x, h], 1) @ w + b, 4, 1)
    i, f, ci = sigmoid(i + w_i * before), sigmoid(f + bias + w_f * before), np.tanh(ci)
    cs = ci * i + before * f
    o, co = sigmoid(o + w_o * cs), np.tanh(cs)
    return i, cs, f, o, ci, co, co * o


def batch_norm(version, training, x, scale, offset, mean, variance):
    f = getattr(R, f"FusedBatchNorm{version}")
    factor = {"exponential_avg_factor": 0.7 if training else 1.0}
    return tuple(f(x=x, scale=scale, offset=offset, mean=mean, variance=variance, is_training=training, **factor))[:3]


def batch_norm_shadow(training, x, scale, offset, mean, variance):
    """Ioffe & Szegedy 2015; the running variance is of the sample."""
    used = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if training else (mean, variance)
    y = (x - used[0]) / np.sqrt(used[1] + 1e-4) * scale + offset
    if not training:
        return y, mean, variance
    return y, 0.3 * mean + 0.7 * used[0], 0.3 * variance + 0.7 * x.var((0, 1, 2), ddof=1)


def lstm_cell(x, before, h, w, w_i, w_f, w_o, b):
    cell = R.LSTMBlockCell(
        x=x, cs_prev=before, h_prev=h, w=w, wci=w_i, wcf=w_f, wco=w_o, b=b, use_peephole=True, cell_clip=-1
    )
    return tuple(cell)


def block_lstm(version, x, before, h, w, w_i, w_f, w_o, b):
    """Over all steps: after the last that is run the kernel leaves other numbers than zero in i, f, o, ci and co."""
    f = functools.partial(getattr(R, f"BlockLSTM{version}"), cell_clip=0.0, use_peephole=True)
    return tuple(
        f(seq_len_max=tf.constant(2, tf.int64), x=x, cs_prev=before, h_prev=h, w=w, wci=w_i, wcf=w_f, wco=w_o, b=b)
    )


def block_lstm_shadow(version, x, before, h, w, w_i, w_f, w_o, b):
    """The second version has the forget gate before the cell's input, and no bias of it."""
    order = [0, 2, 1, 3] if version else [0, 1, 2, 3]
    steps = []
    for one in x:
        cell = steps[-1] if steps else (None, before, None, None, None, None, h)
        steps.append(lstm(one, cell[1], cell[6], w[:, order], w_i, w_f, w_o, b[order], bias=0 if version else 1))
    return tuple(np.stack(parts) for parts in zip(*steps, strict=True))


def spectrogram(squared: bool):
    def f(x):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(6) / 6)
        frames = np.stack([x[s : s + 6] for s in (0, 4)]).transpose(2, 0, 1)
        power = np.abs(np.fft.rfft(frames * window, 8)) ** 2
        return power if squared else np.sqrt(power)

    return f


def soft_suppressed(boxes, scores):
    """Bodla et al. 2017: a score falls with the overlap of each box that was chosen before."""
    left, order, chosen = scores.astype(float), [], []
    for _ in scores:
        best = int(np.argmax(np.where(np.isin(np.arange(len(left)), order), -1, left)))
        chosen.append(left[best])
        order.append(best)
        left = left * np.exp([-(overlap(boxes[best], box) ** 2) / (2 * 0.4) for box in boxes])
    return np.stack(chosen)


def overlap(a, b):
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    common = np.prod(sides)
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


BOXES = np.array([[0.1, 0.1, 0.6, 0.5], [0.15, 0.05, 0.7, 0.45], [0.5, 0.4, 0.95, 0.9]])
ENTRIES = tf.constant([[0, 0], [0, 3], [1, 1], [1, 2], [2, 0]], tf.int64)
SHAPE = tf.constant([3, 4], tf.int64)
SPD = np.array([[[2.0, 0.3], [0.4, 1.5]], [[1.2, -0.2], [0.5, 3.0]]])
PIVOTED = np.array(
    [
        [[0.2, 1.0, 0.3], [2.0, 0.5, -0.4], [0.5, 0.7, 1.9]],
        [[1.5, 0.2, 0.1], [0.3, 0.4, 2.0], [0.6, -1.8, 0.5]],
    ]
)
ROWS, IDS = tf.constant([3, 0, 1, 3]), tf.constant([0, 0, 1, 2])


def sparse_segment_grad(kind: str, version: str = ""):
    def f(g):
        size = {"dense_output_dim0" if version else "output_dim0": 5}
        return getattr(R, f"SparseSegment{kind}Grad{version}")(grad=g, indices=ROWS, segment_ids=IDS, **size)

    return (lambda g: f(g)[0]) if version else f


@functools.cache
def _variance() -> Callable[..., Any]:
    """A graph with ``tf.nn.moments`` as it is in TensorFlow."""
    return tf.function(lambda x: tf.nn.moments(x, [0])[1]).get_concrete_function(tf.TensorSpec([4], tf.float64))


CASES = {
    "PadV2": Case(
        "PadV2",
        lambda x, value: tf.raw_ops.PadV2(input=x, paddings=[[0, 0], [1, 2]], constant_values=value),
        (numbers(2, 3), np.array(0.3)),
    ),
    "MatrixDiagV2": Case(
        "MatrixDiagV2",
        lambda x, value: R.MatrixDiagV2(diagonal=x, k=1, num_rows=4, num_cols=4, padding_value=value),
        (numbers(2, 3), np.array(0.3)),
    ),
    "MatrixDiagV3": Case(
        "MatrixDiagV3",
        lambda x, value: tf.linalg.diag(x, k=(-1, 0), padding_value=value, align="LEFT_RIGHT"),
        (numbers(2, 3), np.array(0.3)),
    ),
    "MatrixDiagPartV2": Case(
        "MatrixDiagPartV2",
        lambda x, value: R.MatrixDiagPartV2(input=x, k=[-1, 1], padding_value=value),
        (numbers(2, 3, 3), np.array(0.3)),
    ),
    "MatrixDiagPartV3": Case(
        "MatrixDiagPartV3",
        lambda x, value: tf.linalg.diag_part(x, k=(-1, 1), padding_value=value),
        (numbers(3, 4), np.array(0.3)),
    ),
    "MatrixSetDiagV2": Case(
        "MatrixSetDiagV2",
        lambda x, y: R.MatrixSetDiagV2(input=x, diagonal=y, k=[-1, 1]),
        (numbers(3, 3), numbers(3, 3, seed=1)),
    ),
    "Selu": Case("Selu", tf.nn.selu, (numbers(2, 3),), batched=True),
    # Powers and products
    "Pow": Case("Pow", tf.pow, (numbers(2, 3, low=0.5, high=2), numbers(3, low=1.2, high=3.3))),
    "Pow, whole exponents": Case("Pow", lambda x: tf.pow(x, np.array([0.0, 1, 2, 3])), (np.array([[-0.7, 0, 0, 0]]),)),
    "Square": Case("Square", tf.square, (numbers(2, 3),), batched=True),
    "Square of Abs": Case("Abs", lambda x: tf.square(tf.abs(x)), (np.array([[0.3, -0.7], [0, 1]]),), batched=True),
    "fourth power of Abs": Case("Abs", lambda x: tf.abs(x) ** 4, (np.array([[0.3, -0.7], [0, 1]]),), batched=True),
    "product of Abs": Case(
        "Abs", lambda x: (lambda y: y * y + y**4)(tf.abs(x)), (np.array([[0.3, -0.7], [0, 1]]),), batched=True
    ),
    "StopGradient": Case("StopGradient", lambda x: _variance()(x), (numbers(4),)),
    "Square of ComplexAbs": Case(
        "ComplexAbs", lambda x: tf.abs(as_complex(x)) ** 2, (np.array([[[0.3, -0.7]], [[0, 0]]]),), batched=True
    ),
    "ComplexAbs": Case("ComplexAbs", lambda x: tf.abs(as_complex(x)), (numbers(2, 2, 2),), batched=True),
    "Sqrt": Case("Sqrt", tf.sqrt, (numbers(2, 3, low=0.5, high=2),), batched=True),
    "Rsqrt": Case("Rsqrt", tf.math.rsqrt, (numbers(2, 3, low=0.5, high=2),), batched=True),
    "Reciprocal": Case("Reciprocal", tf.math.reciprocal, (numbers(2, 3, low=0.5, high=2),), batched=True),
    "Inv": Case("Inv", lambda x: R.Inv(x=x), (numbers(2, 3, low=0.5, high=2),), batched=True),
    "Xlogy": Case("Xlogy", tf.math.xlogy, (np.array([0.7, -1, 0]), numbers(2, 3, low=0.5, high=2))),
    "Xlog1py": Case("Xlog1py", tf.math.xlog1py, (np.array([0.7, -1, 0]), numbers(2, 3, low=-0.5, high=2))),
    "Xdivy": Case("Xdivy", tf.math.xdivy, (np.array([0.7, -1, 0]), numbers(2, 3, low=0.5, high=2))),
    "Xlogy of complex numbers": Case(
        "Xlogy", lambda x, y: as_real(tf.math.xlogy(as_complex(x), as_complex(y))), (numbers(2, 2), 2 + numbers(2, 2))
    ),
    "MulNoNan": Case("MulNoNan", tf.math.multiply_no_nan, (numbers(2, 3), np.array([0.7, 0, -1]))),
    "SquaredDifference": Case("SquaredDifference", tf.math.squared_difference, (numbers(2, 3), numbers(3, seed=1))),
    "SquaredDifference of complex numbers": Case(
        "SquaredDifference",
        lambda x, y: as_real(tf.math.squared_difference(as_complex(x), as_complex(y))),
        (numbers(3, 2), numbers(3, 2, seed=1)),
    ),
    "Sign of complex numbers": Case("Sign", lambda x: as_real(tf.sign(as_complex(x))), (0.5 + numbers(2, 2, 2),)),
    "SoftmaxCrossEntropyWithLogits": Case(
        "SoftmaxCrossEntropyWithLogits",
        lambda x, z: tuple(R.SoftmaxCrossEntropyWithLogits(features=x, labels=z)),
        (numbers(2, 3), numbers(2, 3, low=0, seed=1)),
    ),
    # Special functions
    "BesselI1": Case("BesselI1", tf.math.bessel_i1, (np.array([[0, 0.4], [-3, 1.2]]),), batched=True),
    "BesselI1e": Case("BesselI1e", tf.math.bessel_i1e, (np.array([[0.9, 0.4], [-3, 1.2]]),), batched=True),
    "BesselJ1": Case("BesselJ1", tf.math.special.bessel_j1, (np.array([[0, 0.4], [-3, 1.2]]),), batched=True),
    "Spence": Case("Spence", tf.math.special.spence, (np.array([[1, 0.95], [1.4, 3.0]]),), batched=True),
    "Igamma": Case("Igamma", lambda x: tf.math.igamma(np.array([0.7, 2]), x), (numbers(2, 2, low=0.4, high=3),)),
    "Igammac": Case("Igammac", lambda x: tf.math.igammac(np.array([0.7, 2]), x), (numbers(2, 2, low=0.4, high=3),)),
    # Arrays
    "Mod": Case("Mod", lambda x, y: R.Mod(x=x, y=y), (numbers(2, 3, low=3, high=9), np.array([1.3, -2.1, 1.7]))),
    "TruncateMod": Case(
        "TruncateMod", lambda x: R.TruncateMod(x=x, y=[[1.3, -2.1]]), (numbers(2, 2, low=-9, high=-3),), batched=True
    ),
    "Snapshot": Case("Snapshot", lambda x: R.Snapshot(input=x), (numbers(2, 3),), batched=True),
    "Copy": Case("Copy", lambda x: R.Copy(input=x), (numbers(3),)),
    "CopyHost": Case("CopyHost", lambda x: R.CopyHost(input=x), (numbers(3),)),
    "DeepCopy": Case("DeepCopy", lambda x: R.DeepCopy(x=x), (numbers(3),)),
    "InplaceAdd": Case(
        "InplaceAdd", lambda x, v: R.InplaceAdd(x=tf.identity(x), i=[2, 0, 2], v=v), (numbers(3, 2), numbers(3, 2))
    ),
    "InplaceSub": Case(
        "InplaceSub", lambda x, v: R.InplaceSub(x=tf.identity(x), i=[2, 0], v=v), (numbers(3, 2), numbers(2, 2))
    ),
    "InplaceUpdate": Case(
        "InplaceUpdate",
        lambda x, v: R.InplaceUpdate(x=tf.identity(x), i=[2, 0, 2], v=v),
        (numbers(3, 2), numbers(3, 2)),
    ),
    "ParallelConcat": Case(
        "ParallelConcat",
        lambda x, y: R.ParallelConcat(values=[x, y], shape=[2, 3]),
        (numbers(1, 3), numbers(1, 3, seed=1)),
    ),
    "ListDiff": Case(
        "ListDiff", lambda x: R.ListDiff(x=x, y=tf.constant([0.5], tf.float64))[0], (np.array([0.1, 0.7, 0.4]),)
    ),
    "Unique": Case("Unique", lambda x: R.Unique(x=x)[0], (np.array([0.4, 0.1, 0.7]),)),
    "UniqueWithCounts": Case("UniqueWithCounts", lambda x: R.UniqueWithCounts(x=x)[0], (np.array([0.4, 0.1, 0.7]),)),
    "UniqueV2": Case("UniqueV2", lambda x: R.UniqueV2(x=x, axis=[1])[0], (numbers(2, 3),)),
    "UniqueWithCountsV2": Case(
        "UniqueWithCountsV2", lambda x: R.UniqueWithCountsV2(x=x, axis=[0])[0], (numbers(3, 2),)
    ),
    "StatelessShuffle": Case(
        "StatelessShuffle",
        lambda x: R.StatelessShuffle(
            value=x, key=tf.constant([7], tf.uint64), counter=tf.constant([1, 2], tf.uint64), alg=1
        ),
        (numbers(4, 2),),
    ),
    "LinSpace": Case("LinSpace", lambda a, b: R.LinSpace(start=a, stop=b, num=5), (np.array(0.3), np.array(2.0))),
    "Range": Case(
        "Range",
        lambda a, d: R.Range(start=a, limit=tf.constant(3.0, tf.float64), delta=d),
        (np.array(0.3), np.array(0.55)),
    ),
    # Products, segments and what is stitched
    "Prod": Case("Prod", lambda x: tf.reduce_prod(x, -1), (np.array([[0.3, 0.0, -2, 0], [1.0, 2, 3, 0]]),), True),
    "Prod_axes": Case(
        "Prod", lambda x: tf.reduce_prod(x, [0, 2], keepdims=True), (np.linspace(-1, 1.2, 12).reshape(2, 2, 3),)
    ),
    "Cumprod": Case("Cumprod", lambda x: tf.math.cumprod(x, 1), (np.array([[0.3, 0.0, -2, 0], [1.0, 2, 3, 0]]),), True),
    "Cumprod_exclusive": Case(
        "Cumprod",
        lambda x: as_real(tf.math.cumprod(as_complex(x), -1, exclusive=True, reverse=True)),
        (numbers(2, 3, 2),),
        batched=True,
    ),
    "CumulativeLogsumexp": Case(
        "CumulativeLogsumexp",
        lambda x: tf.math.cumulative_logsumexp(x, 1, reverse=True),
        (numbers(2, 3),),
        batched=True,
    ),
    "EuclideanNorm": Case("EuclideanNorm", lambda x: tf.math.reduce_euclidean_norm(x, [-1]), (numbers(2, 3),), True),
    "SegmentMean": Case("SegmentMean", lambda x: tf.math.segment_mean(x, [0, 0, 2]), (numbers(3, 2),)),
    "SegmentMax": Case("SegmentMax", lambda x: tf.math.segment_max(x, [0, 0, 1]), (numbers(3, 2),)),
    "SegmentMin": Case("SegmentMin", lambda x: tf.math.segment_min(x, [0, 0, 1]), (numbers(3, 2),)),
    "UnsortedSegmentMax": Case(
        "UnsortedSegmentMax", lambda x: tf.math.unsorted_segment_max(x, [1, 0, 1], 2), (numbers(3, 2),)
    ),
    "UnsortedSegmentMin": Case(
        "UnsortedSegmentMin", lambda x: tf.math.unsorted_segment_min(x, [1, -1, 1], 2)[1:], (numbers(3, 2),)
    ),
    "SegmentProd": Case(
        "SegmentProd", lambda x: tf.math.segment_prod(x, [0, 0, 0, 2]), (np.array([[0.0, 2], [0, 3], [1, 0], [2, 2]]),)
    ),
    "UnsortedSegmentProd": Case(
        "UnsortedSegmentProd",
        lambda x: tf.math.unsorted_segment_prod(x, [[2, 0, 2], [0, -1, 2]], 3),
        (np.array([[0.0, 2, 0], [3, 1, 0]]),),
    ),
    "DynamicStitch": Case(
        "DynamicStitch",
        lambda x, y: tf.dynamic_stitch([[0, 2, 0], [1, 2]], [x, y]),
        (numbers(3, 2), numbers(2, 2)),
        vectorized=False,
    ),
    "TensorListGather": Case(
        "TensorListGather",
        lambda x: tf.TensorArray(x.dtype, 3).unstack(x).gather([2, 0, 2]) ** 2,
        (numbers(3, 2),),
        vectorized=False,
    ),
    "TensorListScatterIntoExistingList": Case(
        "TensorListScatterIntoExistingList",
        lambda x: tf.TensorArray(x.dtype, 2).scatter([1, 0, 1], x).stack() ** 2,
        (numbers(3, 2),),
        vectorized=False,
    ),
    **{
        f"TensorListScatter{version}": Case(
            f"TensorListScatter{version}",
            lambda x, f=f, k=k: (
                R.TensorListStack(
                    input_handle=f(tensor=x, indices=[1, 0, 1], element_shape=[2], **k),
                    element_shape=[2],
                    element_dtype=x.dtype,
                )
                ** 2
            ),
            (numbers(3, 2),),
            vectorized=False,
        )
        for version, f, k in (("", R.TensorListScatter, {}), ("V2", R.TensorListScatterV2, {"num_elements": 2}))
    },
    "TensorScatterUpdate": Case(
        "TensorScatterUpdate",
        lambda x, y: tf.tensor_scatter_nd_update(x, [[1], [1], [2]], y),
        (numbers(4, 2), numbers(3, 2)),
    ),
    "ParallelDynamicStitch": Case(
        "ParallelDynamicStitch",
        lambda x, y: R.ParallelDynamicStitch(indices=[[0, 2], [1]], data=[x, y]),
        (numbers(2, 2), numbers(1, 2)),
        vectorized=False,
    ),
    # Linear algebra
    "Lu": Case("Lu", lambda a: R.Lu(input=a)[0], (PIVOTED,), batched=True),
    "MatrixLogarithm": Case(
        "MatrixLogarithm",
        lambda a: as_real(tf.linalg.logm(as_complex(a))),
        (np.stack([SPD, 0.1 * SPD[::-1] ** 2], -1),),
        batched=True,
        vectorized=False,
    ),
    "CholeskyGrad": Case(
        "CholeskyGrad",
        lambda factor, g: R.CholeskyGrad(l=factor, grad=g),
        (np.tril(SPD), numbers(2, 2, 2)),
    ),
    "MatrixDeterminant": Case(
        "MatrixDeterminant", tf.linalg.det, (np.array([[[1.0, 2], [2, 4]], [[0, 0], [0, 0]]]),), True
    ),
    "MatrixDeterminant_3": Case("MatrixDeterminant", tf.linalg.det, (PIVOTED,), batched=True),
    "MatrixDeterminant_4": Case("MatrixDeterminant", tf.linalg.det, (numbers(4, 4),)),
    "MatrixDeterminant_singular": Case("MatrixDeterminant", tf.linalg.det, (np.diag([1.0, 0, -2, 0]),)),
    "MatrixDeterminant_complex": Case(
        "MatrixDeterminant", lambda x: as_real(tf.linalg.det(as_complex(x))), (numbers(2, 3, 3, 2),), batched=True
    ),
    "LogMatrixDeterminant": Case("LogMatrixDeterminant", lambda a: tf.linalg.slogdet(a)[1], (PIVOTED,), batched=True),
    "LogMatrixDeterminant_complex": Case(
        "LogMatrixDeterminant", lambda x: as_real(tf.linalg.slogdet(as_complex(x))[0]), (numbers(2, 2, 2),)
    ),
    "SelfAdjointEigV2": Case(
        "SelfAdjointEigV2", lambda a: tuple(x**2 for x in tf.linalg.eigh(a)), (SPD,), tolerance=1e-7
    ),
    "Eig": Case(
        "Eig", lambda a: tf.math.real(tf.reduce_sum(tf.exp(tf.linalg.eig(a)[0]), -1)), (SPD,), True, vectorized=False
    ),
    "Svd": Case("Svd", lambda a: tuple(x**2 for x in tf.linalg.svd(a)), (PIVOTED[..., :2],), tolerance=1e-7),
    "Svd_values": Case("Svd", lambda a: tf.linalg.svd(a, compute_uv=False), (SPD,), batched=True),
    "MatrixSolveLs": Case(
        "MatrixSolveLs",
        lambda a, b: tf.linalg.lstsq(a, b, fast=False),
        (numbers(3, 2), numbers(3, 1, seed=1)),
        vectorized=False,
    ),
    "MatrixSolveLs_wide": Case(
        "MatrixSolveLs",
        lambda a, b, r: R.MatrixSolveLs(matrix=a, rhs=b, l2_regularizer=r, fast=True),
        (numbers(2, 3), numbers(2, 1, seed=1), np.array(0.3)),
        vectorized=False,
    ),
    "TridiagonalSolve": Case(
        "TridiagonalSolve",
        lambda x: as_real(tf.linalg.tridiagonal_solve(as_complex(x) + np.array([[0], [4], [0]]), as_complex(x)[:, :1])),
        (numbers(3, 3, 2),),
        vectorized=False,
    ),
    "MatrixSquareRoot": Case(
        "MatrixSquareRoot",
        lambda x: as_real(tf.linalg.sqrtm(as_complex(x))),
        (np.stack([SPD, 0.1 * SPD[::-1] ** 2], -1),),
        batched=True,
        vectorized=False,
    ),
    # Signals
    **{
        f"RFFT{axes}_{lengths}": Case(
            f"RFFT{axes}",
            lambda x, name=f"rfft{axes}", n=lengths: as_real(getattr(tf.signal, name.lower())(x, n)),
            (numbers(2, 3, 4),),
            batched=not axes or len(lengths) == 2,
        )
        for axes, lengths in (("", (4,)), ("", (3,)), ("", (6,)), ("2D", (2, 3)), ("2D", (5, 4)))
    },
    **{
        f"IRFFT{axes}_{lengths}": Case(
            f"IRFFT{axes}",
            lambda x, name=f"irfft{axes}", n=lengths: getattr(tf.signal, name.lower())(as_complex(x), n),
            (numbers(2, 2, 3, 2),),
            batched=True,
        )
        for axes, lengths in (("", (4,)), ("", (3,)), ("", (7,)), ("2D", (2, 2)), ("2D", (3, 6)))
    },
    "RFFT3D": Case("RFFT3D", lambda x: as_real(tf.signal.rfft3d(x)), (numbers(2, 2, 2, 3),), batched=True),
    "RFFT3D_odd": Case("RFFT3D", lambda x: as_real(tf.signal.rfft3d(x, [3, 2, 3])), (numbers(1, 2, 3, 4),)),
    "IRFFT3D": Case(
        "IRFFT3D",
        lambda x: tf.signal.irfft3d(as_complex(x)),
        (numbers(2, 1, 2, 3, 2),),
    ),
    "IRFFT3D_odd": Case("IRFFT3D", lambda x: tf.signal.irfft3d(as_complex(x), [2, 3, 3]), (numbers(1, 2, 2, 3, 2),)),
    "AudioSpectrogram": Case(
        "AudioSpectrogram",
        narrow(lambda x: R.AudioSpectrogram(input=x, window_size=6, stride=4)),
        (numbers(10, 1),),
        shadow=spectrogram(False),
        tolerance=2e-6,
    ),
    "AudioSpectrogram_power": Case(
        "AudioSpectrogram",
        narrow(lambda x: R.AudioSpectrogram(input=x, window_size=6, stride=4, magnitude_squared=True)),
        (numbers(10, 2),),
        shadow=spectrogram(True),
        tolerance=2e-6,
    ),
    # Special functions
    "IgammaGradA": Case(
        "IgammaGradA",
        lambda a, x: R.IgammaGradA(a=a, x=x),
        (np.array([0.4, 0.7, 2.5, 30.0, 400.0, 3.0]), np.array([0.3, 2.0, 1.0, 34.0, 390.0, 25.0])),
        batched=True,
    ),
    "RandomGammaGrad": Case(
        "RandomGammaGrad",
        lambda a, x: R.RandomGammaGrad(alpha=a, sample=x),
        (np.array([0.7, 2.5, 30.0]), np.array([0.4, 1.0, 34.0])),
    ),
    "Betainc": Case(
        "Betainc",
        tf.math.betainc,
        (np.array([0.3, 2.0, 40.0, 1.5]), np.array([0.6, 3.5, 25.0, 0.2]), np.array([0.2, 0.6, 0.58, 0.9])),
        batched=True,
    ),
    "Zeta": Case(
        "Zeta",
        tf.math.zeta,
        (np.array([1.4, 2.0, 7.5]), np.array([0.6, 3.5, 1.2])),
    ),
    # Sparse tensors
    "SparseReduceMax": Case(
        "SparseReduceMax", lambda v: tf.sparse.reduce_max(tf.SparseTensor(ENTRIES, v, SHAPE), 1), (numbers(5),)
    ),
    "SparseReduceMax_all": Case(
        "SparseReduceMax",
        lambda v: R.SparseReduceMax(
            input_indices=ENTRIES, input_values=v, input_shape=SHAPE, reduction_axes=[0, -1], keep_dims=True
        ),
        (numbers(5),),
    ),
    "SparseReduceMaxSparse": Case(
        "SparseReduceMaxSparse",
        lambda v: R.SparseReduceMaxSparse(input_indices=ENTRIES, input_values=v, input_shape=SHAPE, reduction_axes=[0])[
            1
        ],
        (numbers(5),),
    ),
    "SparseReduceSumSparse": Case(
        "SparseReduceSumSparse",
        lambda v: R.SparseReduceSumSparse(
            input_indices=ENTRIES, input_values=v, input_shape=SHAPE, reduction_axes=[0], keep_dims=True
        )[1],
        (numbers(5),),
    ),
    "SparseAdd": Case(
        "SparseAdd",
        lambda v, w: (
            tf.sparse.add(
                tf.SparseTensor(ENTRIES, v * v, SHAPE), tf.SparseTensor([[0, 0], [1, 1], [2, 3]], w * v[:3], SHAPE)
            ).values
        ),
        (numbers(5), numbers(3, seed=1)),
    ),
    **{
        f"SparseDenseCwise{kind}_{how}": Case(
            f"SparseDenseCwise{kind}",
            lambda v, y, f=f: f(sp_indices=ENTRIES, sp_values=v, sp_shape=SHAPE, dense=y),
            (numbers(5), dense),
            vectorized=False,
        )
        for kind, f in (("Mul", R.SparseDenseCwiseMul), ("Div", R.SparseDenseCwiseDiv))
        for how, dense in (
            ("all", numbers(3, 4, low=0.5)),
            ("row", numbers(4, low=0.5)),
            ("column", numbers(3, 1, low=0.5)),
            ("number", np.array(0.7)),
        )
    },
    "SparseSoftmax": Case(
        "SparseSoftmax", lambda v: tf.sparse.softmax(tf.SparseTensor(ENTRIES, v, SHAPE)).values, (numbers(5),)
    ),
    "SparseSplit": Case(
        "SparseSplit",
        lambda v: tuple(p.values for p in tf.sparse.split(tf.SparseTensor(ENTRIES, v, SHAPE), 3, axis=1)),
        (numbers(5),),
    ),
    "SparseSliceGrad": Case(
        "SparseSliceGrad",
        lambda g: R.SparseSliceGrad(
            backprop_val_grad=g, input_indices=ENTRIES, input_start=[1, 0], output_indices=ENTRIES[2:] - [[1, 0]]
        ),
        (numbers(3),),
    ),
    "SparseFillEmptyRowsGrad": Case(
        "SparseFillEmptyRowsGrad",
        lambda g: tuple(R.SparseFillEmptyRowsGrad(reverse_index_map=tf.constant([0, 3, 1], tf.int64), grad_values=g)),
        (numbers(5),),
    ),
    "RaggedFillEmptyRowsGrad": Case(
        "RaggedFillEmptyRowsGrad",
        lambda g: tuple(R.RaggedFillEmptyRowsGrad(reverse_index_map=tf.constant([0, 3, 1], tf.int64), grad_values=g)),
        (numbers(5),),
    ),
    **{
        f"SparseSegment{kind}Grad{v}": Case(
            f"SparseSegment{kind}Grad{v}", sparse_segment_grad(kind, v), (numbers(3, 2),)
        )
        for kind in ("Sum", "Mean", "SqrtN")
        for v in ("", "V2")
    },
    "Bincount": Case("Bincount", lambda w: R.Bincount(arr=[1, 3, 1, 7], size=4, weights=w), (numbers(4),)),
    "DenseBincount": Case(
        "DenseBincount", lambda w: R.DenseBincount(input=[1, 3, 1, 7], size=4, weights=w), (numbers(4),)
    ),
    "DenseBincount_rows": Case(
        "DenseBincount", lambda w: R.DenseBincount(input=[[1, 3], [1, 7]], size=4, weights=w), (numbers(2, 2),)
    ),
    "SparseBincount": Case(
        "SparseBincount",
        lambda w: R.SparseBincount(indices=ENTRIES, values=[1, 0, 2, 9, 2], dense_shape=SHAPE, size=3, weights=w),
        (numbers(5),),
    ),
    "RaggedBincount": Case(
        "RaggedBincount",
        lambda w: R.RaggedBincount(
            splits=tf.constant([0, 2, 2, 5], tf.int64), values=[1, 0, 2, 9, 2], size=3, weights=w
        ),
        (numbers(5),),
    ),
    "DenseCountSparseOutput": Case(
        "DenseCountSparseOutput",
        lambda w: R.DenseCountSparseOutput(values=[[1, 3, 1], [7, 0, 2]], weights=w, binary_output=False, maxlength=5)[
            1
        ],
        (numbers(2, 3),),
    ),
    "DenseCountSparseOutput_vector": Case(
        "DenseCountSparseOutput",
        lambda w: R.DenseCountSparseOutput(values=[1, 3, 1], weights=w, binary_output=False)[1],
        (numbers(3),),
    ),
    "SparseCountSparseOutput": Case(
        "SparseCountSparseOutput",
        lambda w: R.SparseCountSparseOutput(
            indices=ENTRIES, values=[1, 0, 2, 2, 2], dense_shape=SHAPE, weights=w, binary_output=False
        )[1],
        (numbers(5),),
    ),
    "RaggedCountSparseOutput": Case(
        "RaggedCountSparseOutput",
        lambda w: R.RaggedCountSparseOutput(
            splits=tf.constant([0, 2, 2, 5], tf.int64), values=[1, 0, 2, 9, 2], weights=w, binary_output=False
        )[1],
        (numbers(5),),
    ),
    # Boxes
    "DrawBoundingBoxesV2": Case(
        "DrawBoundingBoxesV2",
        narrow(lambda x, c: R.DrawBoundingBoxesV2(images=x, boxes=tf.constant(BOXES[None], tf.float32), colors=c)),
        (numbers(1, 6, 6, 1), numbers(2, 1)),
        step=1.0,
        tolerance=1e-6,
    ),
    "CropAndResizeGradBoxes": Case(
        "CropAndResizeGradBoxes",
        narrow(lambda g, x, b: R.CropAndResizeGradBoxes(grads=g, image=x, boxes=b, box_ind=[0])),
        (numbers(1, 2, 2, 1), numbers(1, 3, 3, 1), np.array([[0.1, 0.15, 0.8, 0.9]])),
        step=0.02,
        tolerance=2e-4,
        vectorized=False,
    ),
    "NonMaxSuppressionV5": Case(
        "NonMaxSuppressionV5",
        narrow(
            lambda s: R.NonMaxSuppressionV5(
                boxes=tf.constant(BOXES, tf.float32),
                scores=s,
                max_output_size=4,
                iou_threshold=0.5,
                score_threshold=0.0,
                soft_nms_sigma=0.0,
                pad_to_max_output_size=True,
            )[1]
        ),
        (np.array([0.9, 0.8, 0.7]),),
        step=0.05,
        tolerance=1e-6,
    ),
    "NonMaxSuppressionV5_soft": Case(
        "NonMaxSuppressionV5",
        narrow(
            lambda b, s: R.NonMaxSuppressionV5(
                boxes=b, scores=s, max_output_size=3, iou_threshold=1.0, score_threshold=0.0, soft_nms_sigma=0.4
            )[1]
        ),
        (BOXES, np.array([0.9, 0.8, 0.4])),
        shadow=soft_suppressed,
        tolerance=1e-6,
    ),
    # Convolutions and pooling
    "Dilation2DBackpropInput": Case(
        "Dilation2DBackpropInput",
        lambda g: R.Dilation2DBackpropInput(
            input=numbers(1, 3, 4, 2),
            filter=numbers(2, 2, 2, seed=1),
            out_backprop=g,
            strides=[1, 1, 1, 1],
            rates=[1, 1, 2, 1],
            padding="SAME",
        ),
        (numbers(1, 3, 4, 2),),
    ),
    "Dilation2DBackpropFilter": Case(
        "Dilation2DBackpropFilter",
        lambda g: R.Dilation2DBackpropFilter(
            input=numbers(1, 4, 5, 2),
            filter=numbers(2, 2, 2, seed=1),
            out_backprop=g,
            strides=[1, 2, 2, 1],
            rates=[1, 1, 1, 1],
            padding="VALID",
        ),
        (numbers(1, 2, 2, 2),),
    ),
    "FractionalAvgPoolGrad": Case(
        "FractionalAvgPoolGrad",
        lambda g: R.FractionalAvgPoolGrad(
            orig_input_tensor_shape=[1, 4, 5, 2],
            out_backprop=g,
            row_pooling_sequence=[0, 1, 4],
            col_pooling_sequence=[0, 2, 3, 5],
            overlapping=True,
        ),
        (numbers(1, 2, 3, 2),),
    ),
    "FractionalAvgPoolGrad_apart": Case(
        "FractionalAvgPoolGrad",
        lambda g: R.FractionalAvgPoolGrad(
            orig_input_tensor_shape=[1, 4, 5, 2],
            out_backprop=g,
            row_pooling_sequence=[0, 1, 4],
            col_pooling_sequence=[0, 2, 3, 5],
        ),
        (numbers(1, 2, 3, 2),),
    ),
    "FractionalAvgPoolGrad_drawn": Case(
        "FractionalAvgPoolGrad",
        lambda x: (
            R.FractionalAvgPool(value=x, pooling_ratio=[1.0, 1.4, 1.5, 1.0], deterministic=True, seed=3, seed2=5)[0]
            ** 2
        ),
        (numbers(1, 5, 4, 1),),
        vectorized=False,
    ),
    "FractionalMaxPoolGrad": Case(
        "FractionalMaxPoolGrad", lambda g: fractional_max_pool_grad(g, True), (numbers(1, 2, 2, 2),)
    ),
    "FractionalMaxPoolGrad_apart": Case(
        "FractionalMaxPoolGrad", lambda g: fractional_max_pool_grad(g, False), (numbers(1, 2, 2, 2),)
    ),
    "FusedPadConv2D": Case(
        "FusedPadConv2D",
        lambda x, k: R.FusedPadConv2D(
            input=x,
            paddings=[[0, 0], [1, 0], [1, 1], [0, 0]],
            filter=k,
            mode="REFLECT",
            strides=[1, 1, 1, 1],
            padding="VALID",
        ),
        (numbers(1, 3, 3, 1), numbers(2, 2, 1, 2)),
        step=0.5,
        vectorized=False,
    ),
    "FusedResizeAndPadConv2D": Case(
        "FusedResizeAndPadConv2D",
        lambda x, k: R.FusedResizeAndPadConv2D(
            input=x,
            size=[4, 4],
            paddings=[[0, 0], [1, 0], [1, 1], [0, 0]],
            filter=k,
            mode="SYMMETRIC",
            strides=[1, 2, 2, 1],
            padding="VALID",
        ),
        (numbers(1, 3, 3, 1), numbers(2, 2, 1, 1)),
        step=0.5,
        tolerance=1e-6,
        vectorized=False,
    ),
    "Conv": Case(
        "Conv",
        lambda x, k: R.Conv(input=x, filter=k, strides=[1, 1, 2, 1], padding="SAME"),
        (numbers(1, 3, 3, 1), numbers(2, 2, 1, 2)),
        step=0.5,
    ),
    "Conv_3d": Case(
        "Conv",
        lambda x, k: R.Conv(input=x, filter=k, strides=[1] * 5, padding="VALID"),
        (numbers(1, 2, 3, 2, 1), numbers(2, 2, 1, 1, 1)),
        step=0.5,
        vectorized=False,
    ),
    **{
        f"FusedBatchNorm{version}{how}": Case(
            f"FusedBatchNorm{version}",
            narrow(functools.partial(batch_norm, version, training)),
            (numbers(3, 2, 1, 2), numbers(2), numbers(2, seed=1), numbers(2, seed=2), numbers(2, low=0.5, high=2)),
            shadow=functools.partial(batch_norm_shadow, training),
            tolerance=2e-6,
            vectorized=not training or version == "V3",
        )
        for version in ("", "V2", "V3")
        for how, training in (("", False), ("_training", True))
    },
    # Cells
    "GRUBlockCell": Case(
        "GRUBlockCell",
        narrow(lambda x, h, a, c, b, d: tuple(R.GRUBlockCell(x=x, h_prev=h, w_ru=a, w_c=c, b_ru=b, b_c=d))),
        (numbers(2, 1), numbers(2, 2), numbers(3, 4), numbers(3, 2), numbers(4), numbers(2)),
        shadow=gru,
        tolerance=2e-6,
    ),
    **{
        f"BlockLSTM{version}": Case(
            f"BlockLSTM{version}",
            narrow(functools.partial(block_lstm, version)),
            (
                numbers(2, 1, 1),
                numbers(1, 1),
                numbers(1, 1, seed=1),
                numbers(2, 4),
                numbers(1),
                numbers(1, seed=1),
                numbers(1, seed=2),
                numbers(4),
            ),
            shadow=functools.partial(block_lstm_shadow, version),
            tolerance=5e-6,
            vectorized=False,
        )
        for version in ("", "V2")
    },
    "LSTMBlockCell": Case(
        "LSTMBlockCell",
        narrow(lstm_cell),
        (
            numbers(2, 1),
            numbers(2, 1),
            numbers(2, 1, seed=1),
            numbers(2, 4),
            numbers(1),
            numbers(1, seed=1),
            numbers(1, seed=2),
            numbers(4),
        ),
        shadow=lstm,
        tolerance=2e-6,
    ),
}


def fractional_max_pool_grad(g: tf.Tensor, overlapping: bool) -> tf.Tensor:
    x = tf.constant(numbers(1, 4, 4, 2))
    y, rows, columns = R.FractionalMaxPool(
        value=x, pooling_ratio=[1.0, 1.7, 1.7, 1.0], overlapping=overlapping, deterministic=True, seed=3, seed2=5
    )
    return R.FractionalMaxPoolGrad(
        orig_input=x, orig_output=y, out_backprop=g, row_pooling_sequence=rows, col_pooling_sequence=columns,
        overlapping=overlapping,
    )  # fmt: skip
