"""Ops that public functions no longer write, that old graphs still hold, and whose gradients TensorFlow keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .entry import Entry, entry, numbers

R = tf.raw_ops
X, Y, V = numbers(2, 3), numbers(2, 3, seed=1), numbers(3)
SQUARE, BATCH = numbers(3, 3), numbers(2, 2, 3)
DISTINCT = np.array([0.4, 0.1, 0.7, -0.3])


def _sums_and_products() -> list[Entry]:
    flags: dict[str, dict[str, Any]] = {"": {}, "adj_x": {"adj_x": True}, "adj_y": {"adj_y": True}}
    shapes = {"": ((2, 2, 3), (2, 3, 1)), "adj_x": ((2, 3, 2), (2, 3, 1)), "adj_y": ((2, 2, 3), (2, 1, 3))}
    return [
        entry("Add", lambda x, y: R.Add(x=x, y=y) ** 2, (X, V)),
        entry("tf.math.accumulate_n", lambda x, y: tf.math.accumulate_n([x, y, x]) ** 2, (X, Y)),
        *(
            entry(
                f"{op}, {how}",
                lambda x, y, f=f, k=k: f(x=x, y=y, **k),
                (numbers(*shapes[how][0]), numbers(*shapes[how][1], seed=1)),
            )
            for op, f in {
                "BatchMatMul": R.BatchMatMul,
                "BatchMatMulV3": lambda x, y, **k: R.BatchMatMulV3(x=x, y=y, Tout=x.dtype, **k),
            }.items()
            for how, k in flags.items()
        ),
        entry(
            "BatchMatMulV3, broadcasting",
            lambda x, y: R.BatchMatMulV3(x=x, y=y, Tout=x.dtype),
            (numbers(2, 1, 1, 2), numbers(3, 2, 1, seed=1)),
        ),
        entry("Div", lambda x, y: R.Div(x=x, y=2 + y), (X, V)),
        entry("Mod", lambda x, y: R.Mod(x=x, y=y), (3 + X, np.array([1.3, -2.1, 1.7])), scale=0.1),
    ]


def _arrays() -> list[Entry]:
    return [
        entry("Concat", lambda x, y: R.Concat(concat_dim=1, values=[x, y * y]), (X, Y)),
        entry("Gather", lambda x: R.Gather(params=x, indices=[1, 0, 1]) ** 2, X),
        entry("Reverse", lambda x: R.Reverse(tensor=x, dims=[False, True]) ** 2, X),
        entry(
            "SpaceToBatch",
            lambda x: R.SpaceToBatch(input=x, paddings=[[0, 0], [1, 0]], block_size=2) ** 2,
            numbers(1, 2, 3, 1),
        ),
        entry(
            "BatchToSpace",
            lambda x: R.BatchToSpace(input=x, crops=[[0, 0], [1, 0]], block_size=2) ** 2,
            numbers(4, 1, 2, 1),
        ),
        entry("MatrixDiag", lambda x: R.MatrixDiag(diagonal=x) ** 2, X),
        entry("MatrixDiagPart", lambda x: R.MatrixDiagPart(input=x) ** 2, BATCH),
        entry("MatrixSetDiag", lambda x, d: R.MatrixSetDiag(input=x, diagonal=d) ** 2, (BATCH, numbers(2, 2))),
        entry(
            "MatrixDiagV2",
            lambda x, v: R.MatrixDiagV2(diagonal=x, k=[-1, 0], num_rows=3, num_cols=3, padding_value=v) ** 2,
            (numbers(2, 3), np.array(0.3)),
        ),
        entry(
            "MatrixDiagPartV2",
            lambda x, v: R.MatrixDiagPartV2(input=x, k=[-1, 1], padding_value=v) ** 2,
            (SQUARE, np.array(0.3)),
        ),
        entry(
            "MatrixSetDiagV2",
            lambda x, d: R.MatrixSetDiagV2(input=x, diagonal=d, k=[-1, 1]) ** 2,
            (SQUARE, numbers(3, 3, seed=1)),
        ),
        entry(
            "InplaceAdd",
            lambda x, v: R.InplaceAdd(x=2.0 * x, i=[2, 0, 2], v=v) ** 2,
            (numbers(3, 2), numbers(3, 2)),
        ),
        entry(
            "InplaceSub",
            lambda x, v: R.InplaceSub(x=2.0 * x, i=[2, 0], v=v) ** 2,
            (numbers(3, 2), numbers(2, 2)),
        ),
        entry(
            "InplaceUpdate",
            lambda x, v: R.InplaceUpdate(x=2.0 * x, i=[2, 0, 2], v=v) ** 2,
            (numbers(3, 2), numbers(3, 2)),
        ),
        entry("ParallelConcat", lambda x, y: R.ParallelConcat(values=[x, y], shape=[2, 3]) ** 2, (X[:1], Y[:1])),
        entry(
            "ScatterNdNonAliasingAdd",
            lambda x, u: R.ScatterNdNonAliasingAdd(input=x, indices=[[1], [0], [1]], updates=u) ** 2,
            (V, numbers(3, seed=1)),
        ),
        entry("Copy", lambda x: R.Copy(input=x) ** 2, X),
        entry("CopyHost", lambda x: R.CopyHost(input=x) ** 2, X),
        entry("DeepCopy", lambda x: R.DeepCopy(x=x) ** 2, X),
        entry("Snapshot", lambda x: R.Snapshot(input=x) ** 2, X),
        entry("DebugIdentityV2", lambda x: R.DebugIdentityV2(input=x, tensor_debug_mode=0) ** 2, X),
        entry("CheckNumericsV2", lambda x: R.CheckNumericsV2(tensor=x, message="x") ** 2, X),
        entry("Print", lambda x: R.Print(input=x, data=[tf.constant(0)], message="", first_n=0) ** 2, X),
        entry("PlaceholderWithDefault", lambda x: R.PlaceholderWithDefault(input=x, shape=[2, 3]) ** 2, X),
        entry("LinSpace", lambda a, b: R.LinSpace(start=a, stop=b, num=5) ** 2, (np.array(0.3), np.array(2.0))),
    ]


def _slices() -> list[Entry]:
    slices: dict[str, dict[str, Any]] = {
        "": {"begin": [0, 1], "end": [2, 3], "strides": [1, 1]},
        "backwards": {"begin": [-1, -1], "end": [0, 0], "strides": [-1, -2], "end_mask": 3},
        "an axis less": {"begin": [1, 0], "end": [2, 3], "strides": [1, 2], "shrink_axis_mask": 1},
    }
    return [
        *(
            entry(
                f"StridedSliceGrad, {how}",
                lambda g, k=k: R.StridedSliceGrad(shape=[2, 3], dy=g, **k) ** 2,
                np.asarray(R.StridedSlice(input=X, **k)),
            )
            for how, k in slices.items()
        ),
        *(
            entry(
                f"MirrorPadGrad, {mode}",
                lambda g, m=mode: R.MirrorPadGrad(input=g, paddings=[[1, 0], [0, 2]], mode=m) ** 2,
                numbers(3, 5),
            )
            for mode in ("REFLECT", "SYMMETRIC")
        ),
    ]


def _orders() -> list[Entry]:
    key, counter = tf.constant([7], tf.uint64), tf.constant([1, 2], tf.uint64)
    return [
        entry(
            "tf.nn.isotonic_regression",
            lambda x: tf.nn.isotonic_regression(x)[0],
            X,
            np.array([[1.0, 2, 3], [0.3, 0.9, 0.1]]),
        ),
        entry(
            "tf.nn.isotonic_regression, increasing", lambda x: tf.nn.isotonic_regression(x, decreasing=False)[0] ** 2, X
        ),
        entry("NthElement", lambda x: R.NthElement(input=x, n=1) ** 2, X),
        entry("NthElement, reverse", lambda x: R.NthElement(input=x, n=0, reverse=True) ** 2, X),
        entry(
            "tf.unique_with_counts",
            lambda x: tf.unique_with_counts(x)[0] ** 2,
            DISTINCT,
        ),
        entry("UniqueV2, axis 1", lambda x: R.UniqueV2(x=x, axis=[1])[0] ** 2, X),
        entry("UniqueWithCountsV2, axis 0", lambda x: R.UniqueWithCountsV2(x=x, axis=[0])[0] ** 2, numbers(3, 2)),
        entry("ListDiff", lambda x: R.ListDiff(x=x, y=tf.constant([0.5], x.dtype))[0] ** 2, DISTINCT),
        entry(
            "StatelessShuffle",
            lambda x: R.StatelessShuffle(value=x, key=key, counter=counter, alg=1) ** 2,
            numbers(3, 2),
        ),
        entry(
            "tf.random.experimental.stateless_shuffle",
            lambda x: tf.random.experimental.stateless_shuffle(x, [1, 2]) ** 2,
            DISTINCT,
        ),
    ]


def _segments() -> list[Entry]:
    ids = {"data": None, "segment_ids": [0, 0, 2], "num_segments": 3}

    def f(op: Any, x: tf.Tensor) -> tf.Tensor:
        return op(**{**ids, "data": x})

    ops = {"Sum": R.SegmentSumV2, "Max": R.SegmentMaxV2, "Min": R.SegmentMinV2, "Prod": R.SegmentProdV2}
    compiled = {
        name: tf.function(lambda x, op=op: f(op, x), autograph=False, jit_compile=True) for name, op in ops.items()
    }
    return [
        entry(f"Segment{name}V2", lambda x, g=g: tf.where(tf.abs(g(x)) < 9, g(x), 0) ** 2, numbers(3, 2))
        for name, g in compiled.items()
    ]


def _audio_and_factors() -> list[Entry]:
    spd = np.array([[2.0, 0.3], [0.4, 1.5]])

    def spectrum(x: tf.Tensor, squared: bool) -> tf.Tensor:
        y = R.AudioSpectrogram(input=tf.cast(x, tf.float32), window_size=4, stride=2, magnitude_squared=squared)
        return tf.cast(y, x.dtype)

    return [
        *(
            entry(
                f"AudioSpectrogram, magnitude_squared {squared}",
                lambda x, s=squared: spectrum(x, s),
                numbers(4, 1),
                tolerance=1e-3,
                scale=3.0 if squared else 1.0,
            )
            for squared in (True, False)
        ),
        entry("CholeskyGrad", lambda a, g: R.CholeskyGrad(l=a, grad=g), (np.tril(spd), numbers(2, 2))),
    ]


ENTRIES = [
    *_sums_and_products(),
    *_arrays(),
    *_slices(),
    *_orders(),
    *_segments(),
    *_audio_and_factors(),
]
