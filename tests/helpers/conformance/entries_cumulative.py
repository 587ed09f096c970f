"""Cumulative sums and products, segments, and what is stitched or scattered by indices that repeat."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entry import Entry, as_complex, entry, numbers

A = np.array([1.0, 2.0, 3.0])
X = numbers(3, 2)
ZEROS = np.array([[2.0, 0.0], [0.0, 0.0], [3.0, 1.5]])
EQUAL = np.ones((3, 2))
M, R = tf.math, tf.raw_ops

_FLAGS: dict[str, dict[str, Any]] = {
    "": {},
    "exclusive": {"exclusive": True},
    "reverse": {"reverse": True},
    "axis=-1, exclusive, reverse": {"axis": -1, "exclusive": True, "reverse": True},
}


def _cumulative() -> list[Entry]:
    def sums(**flags: Any) -> Any:
        # An exclusive sum of nothing is the smallest number, not -inf.
        return lambda x: tf.maximum(M.cumulative_logsumexp(x, **flags), -1e6)

    return [
        *(entry(f"tf.cumsum, {how}", partial(tf.cumsum, **flags), X, EQUAL) for how, flags in _FLAGS.items()),
        *(
            entry(f"tf.math.cumprod, {how}", partial(M.cumprod, **flags), X, ZEROS, 0 * X, EQUAL, orders=3)
            for how, flags in _FLAGS.items()
        ),
        *(
            entry(f"tf.math.cumulative_logsumexp, {how}", sums(**flags), X, EQUAL, 300 * X, orders=3 if not how else 2)
            for how, flags in _FLAGS.items()
        ),
        *(
            entry(
                f"tf.math.cumprod of complex, {how}",
                lambda x, flags=flags: M.cumprod(as_complex(x), **flags),
                numbers(2, 2, 2),
                np.zeros((2, 2, 2)),
            )
            for how, flags in _FLAGS.items()
        ),
        entry("tf.math.cumprod of seven", M.cumprod, numbers(7), np.array([1.0, 0, 2, 0, 3, 0, 1])),
        entry("tf.cumsum of complex", lambda x: tf.cumsum(as_complex(x), reverse=True), numbers(3, 2)),
        entry(
            "keras.ops.associative_scan",
            lambda x: keras.ops.associative_scan(tf.multiply, x),
            X,
            ZEROS,
            skip=dict.fromkeys(("batch", "tile"), "Keras recurses without end over an axis of unknown length"),
        ),
        entry(
            "tf.scan of products",
            lambda x: tf.scan(tf.multiply, x),
            numbers(3),
            np.array([2.0, 0, 3]),
            skip={"compiled": "slow"},
        ),
    ]


# The third has no element; of the sorted ones the last has one.
SORTED, UNSORTED = [0, 0, 3], [3, 0, 3]


def _segments() -> list[Entry]:
    points = {"prod": (ZEROS, 0 * X), "max": (EQUAL,), "min": (EQUAL,)}
    some = ("sum", "mean", "prod", "max", "min")
    one = [
        entry(
            f"tf.math.segment_{name}",
            lambda x, name=name: getattr(M, f"segment_{name}")(x, SORTED),
            X,
            *points.get(name, ()),
        )
        for name in some
    ]
    two = [
        entry(
            f"tf.math.unsorted_segment_{name}",
            lambda x, name=name: tf.clip_by_value(getattr(M, f"unsorted_segment_{name}")(x, UNSORTED, 5), -1e9, 1e9),
            X,
            *points.get(name, ()),
        )
        for name in (*some, "sqrt_n")
    ]
    dropped = [
        entry(
            f"tf.math.unsorted_segment_{name}, negative ids",
            lambda x, name=name: getattr(M, f"unsorted_segment_{name}")(x, [0, -1, 0], 1),
            X,
            *points.get(name, ()),
        )
        for name in some
    ]
    ids = tf.constant([[0, 1], [1, 1], [0, 2]])
    two_axes = [
        entry(
            f"tf.math.unsorted_segment_{name}, ids of two axes",
            lambda x, name=name: getattr(M, f"unsorted_segment_{name}")(x, ids, 3),
            X,
            *points.get(name, ()),
        )
        for name in some
    ]
    return one + two + dropped + two_axes


def _sparse_segments() -> list[Entry]:
    entries = []
    for name in ("sum", "mean", "sqrt_n"):
        f = getattr(tf.sparse, f"segment_{name}")
        entries += [
            entry(f"tf.sparse.segment_{name}", lambda x, f=f: f(x, [0, 2, 0], [0, 0, 2]), X),
            entry(
                f"tf.sparse.segment_{name}, num_segments", lambda x, f=f: f(x, [0, 2, 1], [0, 0, 2], num_segments=4), X
            ),
            entry(
                f"tf.sparse.segment_{name}, sparse_gradient",
                lambda x, f=f: f(x, [0, 2, 1], [0, 0, 1], sparse_gradient=True),
                X,
            ),
        ]
    return entries


def _complex_segments() -> list[Entry]:
    with_zero = np.array([[1.0, 2], [0, 0], [3, -1]])
    f = {
        "segment_prod": lambda z: M.segment_prod(z, [0, 0, 1]),
        "segment_mean": lambda z: M.segment_mean(z, [0, 0, 2]),
        "segment_sum": lambda z: M.segment_sum(z, [0, 0, 2]),
        "unsorted_segment_prod": lambda z: M.unsorted_segment_prod(z, [1, 1, 0], 2),
        "unsorted_segment_sum": lambda z: M.unsorted_segment_sum(z, [1, 1, 0], 2),
    }
    return [
        entry(f"tf.math.{name} of complex", lambda x, g=g: g(as_complex(x)), numbers(3, 2), with_zero)
        for name, g in f.items()
    ]


ALL_WRITERS = dict.fromkeys(
    ("first", "second"),
    ("wrong", "the gradient of TensorScatterUpdate goes to all that were written to a row, not to the last"),
)


def _stitched() -> list[Entry]:
    update = [[0], [0], [1]]
    return [
        entry("tf.dynamic_stitch", lambda x: tf.dynamic_stitch([[2, 0], [1]], [x[:2], x[2:] ** 2]), X),
        entry("tf.dynamic_stitch, repeated index", lambda x: tf.dynamic_stitch([[0, 0], [1]], [x[:2], x[2:] ** 2]), X),
        entry("tf.dynamic_stitch, index in two lists", lambda x: tf.dynamic_stitch([[0, 1], [1]], [x[:2], x[2:]]), X),
        entry("tf.dynamic_stitch, scalars", lambda x: tf.dynamic_stitch([0, 1, 0], [x[0], x[1], x[2]]), X),
        entry(
            "ParallelDynamicStitch", lambda x: R.ParallelDynamicStitch(indices=[[2, 0], [1]], data=[x[:2], x[2:]]), X
        ),
        entry("tf.dynamic_partition", lambda x: tf.dynamic_partition(x, [1, 0, 1], 2), X),
        entry("tf.tensor_scatter_nd_update", lambda x: tf.tensor_scatter_nd_update(x, [[2], [0]], x[1:] ** 2), X),
        entry(
            "tf.tensor_scatter_nd_update, repeated",
            lambda x: tf.tensor_scatter_nd_update(tf.ones_like(x), update, x * x),
            X,
            known=ALL_WRITERS,
        ),
        entry("tf.tensor_scatter_nd_add, repeated", lambda x: tf.tensor_scatter_nd_add(x, update, x * x), X),
        entry("tf.tensor_scatter_nd_sub, repeated", lambda x: tf.tensor_scatter_nd_sub(x, update, x * x), X),
        entry("tf.tensor_scatter_nd_max, repeated", lambda x: tf.tensor_scatter_nd_max(x, update, x * x - 0.1), X),
        entry("tf.tensor_scatter_nd_min, repeated", lambda x: tf.tensor_scatter_nd_min(x, update, x * x - 0.1), X),
        entry("tf.scatter_nd, repeated", lambda x: tf.scatter_nd(update, x * x, [4, 2]), X),
        entry(
            "keras.ops.scatter_update, repeated",
            lambda x: keras.ops.scatter_update(tf.ones_like(x), update, x * x),
            X,
            known=ALL_WRITERS,
        ),
        entry("keras.ops.slice_update", lambda x: keras.ops.slice_update(x, (1, 0), x[:2] ** 2), X),
        entry("tf.math.bincount by weights", lambda x: M.bincount([0, 2, 2], weights=x, minlength=4), A),
        entry(
            "tf.sparse.to_dense", lambda x: tf.sparse.to_dense(tf.SparseTensor([[0, 1], [1, 0], [2, 2]], x, [3, 3])), A
        ),
        entry("tf.TensorArray, scattered", _scattered, X),
    ]


def _scattered(x: tf.Tensor) -> tf.Tensor:
    return tf.TensorArray(x.dtype, 3).scatter([2, 0, 1], x * x).stack()


ENTRIES = [*_cumulative(), *_segments(), *_sparse_segments(), *_complex_segments(), *_stitched()]
