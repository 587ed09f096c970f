"""Recurrent layers and cells, loops and lists of tensors, and what is looked up in tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entries_layers import function_of
from .entries_pools import narrow
from .entry import Entry, entry, numbers

R, N, layers = tf.raw_ops, tf.nn, keras.layers
X = numbers(1, 2, 2)
TABLE_OF = numbers(4, 2, seed=5)


def _layers() -> list[Entry]:
    made: dict[str, tuple[Callable[..., Any], np.ndarray]] = {
        "SimpleRNN": (lambda **k: layers.SimpleRNN(1, **k), X),
        "SimpleRNN, sequences, backwards": (
            lambda **k: layers.SimpleRNN(1, return_sequences=True, go_backwards=True, **k),
            X,
        ),
        "SimpleRNN, unrolled": (lambda **k: layers.SimpleRNN(1, unroll=True, **k), X),
        "LSTM": (lambda **k: layers.LSTM(1, **k), X),
        "LSTM, sequences": (lambda **k: layers.LSTM(1, return_sequences=True, **k), X),
        "LSTM, unrolled": (lambda **k: layers.LSTM(1, unroll=True, **k), X),
        "GRU": (lambda **k: layers.GRU(1, **k), X),
        "GRU, reset before": (lambda **k: layers.GRU(1, reset_after=False, **k), X),
        "Bidirectional": (lambda **k: layers.Bidirectional(layers.GRU(1, **k), **k), X),
        "ConvLSTM1D": (lambda **k: layers.ConvLSTM1D(1, 2, **k), numbers(1, 2, 3, 1)),
        "TimeDistributed": (lambda **k: layers.TimeDistributed(layers.Dense(2, "tanh", **k), **k), X),
    }
    return [entry(f"keras.layers.{name}", function_of(make, x.shape), x) for name, (make, x) in made.items()]


def _cells() -> list[Entry]:
    many = [numbers(*shape, seed=n) for n, shape in enumerate([(1, 1), (1, 1), (1, 1), (2, 4), (1,), (1,), (1,), (4,)])]
    sequence = [numbers(*s, seed=n) for n, s in enumerate([(2, 1, 1), (1, 1), (1, 1), (2, 4), (1,), (1,), (1,), (4,)])]
    gru = [numbers(*shape, seed=n) for n, shape in enumerate([(1, 1), (1, 1), (2, 2), (2, 1), (2,), (1,)])]

    def cell(x: Any, before: Any, h: Any, w: Any, i: Any, f: Any, o: Any, b: Any) -> Any:
        return R.LSTMBlockCell(
            x=x, cs_prev=before, h_prev=h, w=w, wci=i, wcf=f, wco=o, b=b, use_peephole=True, cell_clip=-1
        )[6]

    def block(x: Any, before: Any, h: Any, w: Any, i: Any, f: Any, o: Any, b: Any, version: str = "") -> Any:
        more: dict[str, Any] = {"cell_clip": -1} if not version else {"cell_clip": 0.0}
        return getattr(R, f"BlockLSTM{version}")(
            seq_len_max=tf.constant(2, tf.int64),
            x=x,
            cs_prev=before,
            h_prev=h,
            w=w,
            wci=i,
            wcf=f,
            wco=o,
            b=b,
            use_peephole=False,
            **more,
        )[6]

    coarse: dict[str, Any] = {"tolerance": 1e-3}
    return [
        entry("LSTMBlockCell", narrow(cell), tuple(many), **coarse),
        entry(
            "GRUBlockCell",
            narrow(lambda x, h, a, c, b, d: R.GRUBlockCell(x=x, h_prev=h, w_ru=a, w_c=c, b_ru=b, b_c=d)[3]),
            tuple(gru),
            **coarse,
        ),
        entry("BlockLSTM", narrow(block), tuple(sequence), **coarse),
        entry("BlockLSTMV2", narrow(lambda *xs: block(*xs, version="V2")), tuple(sequence), **coarse),
    ]


def _tables() -> list[Entry]:
    ids = tf.SparseTensor(np.array([[0, 0], [0, 1], [2, 0]], np.int64), np.array([1, 3, 0], np.int64), [3, 2])
    ragged = tf.ragged.constant([[1, 3], [0]], dtype=tf.int64)
    return [
        entry("tf.nn.embedding_lookup", lambda w: N.embedding_lookup(w, [[1, 3], [1, 0]]) ** 2, TABLE_OF),
        entry(
            "tf.nn.embedding_lookup, max_norm", lambda w: N.embedding_lookup(w, [1, 3, 1], max_norm=0.5) ** 2, TABLE_OF
        ),
        *(
            entry(
                f"tf.nn.embedding_lookup_sparse, {combiner}, {how}",
                lambda w, c=combiner, k=k: N.embedding_lookup_sparse(w, ids, k, combiner=c) ** 2,
                TABLE_OF,
            )
            for combiner in ("sum", "mean", "sqrtn")
            for how, k in {"": None}.items()
        ),
        entry(
            "tf.nn.embedding_lookup_sparse by weights",
            lambda w, v: N.embedding_lookup_sparse(w, ids, ids.with_values(v), combiner="mean") ** 2,
            (TABLE_OF, np.array([0.4, 0.9, 0.7])),
        ),
        entry(
            "tf.nn.safe_embedding_lookup_sparse",
            lambda w: N.safe_embedding_lookup_sparse(w, ids, default_id=2, combiner="mean") ** 2,
            TABLE_OF,
        ),
        entry(
            "tf.nn.embedding_lookup of ragged ids",
            lambda w: N.embedding_lookup(w, ragged).flat_values ** 2,
            TABLE_OF,
        ),
        entry("tf.one_hot embedding", lambda w: tf.one_hot([1, 3, 1], 4, dtype=w.dtype) @ w, TABLE_OF),
        entry("keras.ops.one_hot embedding", lambda w: keras.ops.one_hot([1, 3], 4, dtype=w.dtype.name) @ w, TABLE_OF),
        entry(
            "OneHot by its values", lambda a, b: tf.one_hot([1, 0, 2], 3, a, b) ** 2, (np.array(0.7), np.array(-0.2))
        ),
    ]


def _lists() -> list[Entry]:
    def stacked(x: tf.Tensor) -> tf.Tensor:
        ta = tf.TensorArray(x.dtype, 3, element_shape=x.shape[1:])
        for i in range(3):
            ta = ta.write(i, tf.sin(x[i]))
        return ta.stack()

    def read(x: tf.Tensor) -> tf.Tensor:
        ta = tf.TensorArray(x.dtype, 3, clear_after_read=False).unstack(x)
        return ta.read(0) * ta.read(2) + ta.read(0)

    def concatenated(x: tf.Tensor) -> tf.Tensor:
        ta = tf.TensorArray(x.dtype, 2, infer_shape=False)
        return ta.write(0, x[:1] ** 2).write(1, x[1:]).concat()

    def split(x: tf.Tensor) -> tf.Tensor:
        ta = tf.TensorArray(x.dtype, 2, infer_shape=False).split(x, [1, 2])
        return ta.read(0) ** 2 + ta.read(1)

    def gathered(x: tf.Tensor) -> tf.Tensor:
        return tf.TensorArray(x.dtype, 3).unstack(x).gather([2, 0, 2]) ** 2

    def scattered(x: tf.Tensor) -> tf.Tensor:
        return tf.TensorArray(x.dtype, 3).scatter([2, 0, 1], x).stack() ** 2

    def growing(x: tf.Tensor) -> tf.Tensor:
        i, ta = tf.constant(0), tf.TensorArray(x.dtype, 0, dynamic_size=True, element_shape=x.shape[1:])
        _, ta = tf.while_loop(
            lambda i, _: i < 3, lambda i, ta: (i + 1, ta.write(i, x[i] * tf.cast(i, x.dtype))), (i, ta)
        )
        return ta.stack() ** 2

    def lists(x: tf.Tensor) -> tf.Tensor:
        handle = R.TensorListFromTensor(tensor=x, element_shape=[2])
        handle = R.TensorListPushBack(input_handle=handle, tensor=x[0] * x[1])
        handle, last = R.TensorListPopBack(input_handle=handle, element_shape=[2], element_dtype=x.dtype)
        return last + R.TensorListStack(input_handle=handle, element_shape=[2], element_dtype=x.dtype) ** 2

    functions = {
        "stack": stacked,
        "read": read,
        "concat": concatenated,
        "split": split,
        "gather": gathered,
        "scatter": scattered,
        "write in a loop": growing,
    }
    x = numbers(3, 2)
    return [
        *(entry(f"tf.TensorArray, {name}", f, x) for name, f in functions.items()),
        entry("TensorListPushBack", lists, x),
        *(entry(f"TensorArray of TensorFlow 1, {name}", f, x) for name, f in _old_arrays().items()),
    ]


def _old_arrays() -> dict[str, Callable[..., Any]]:
    def made(x: tf.Tensor, size: int = 3, **keywords: Any) -> tuple[tf.Tensor, tf.Tensor]:
        return R.TensorArrayV3(size=size, dtype=x.dtype, clear_after_read=False, **keywords)

    def written(x: tf.Tensor) -> tf.Tensor:
        handle, flow = made(x)
        for i in range(3):
            flow = R.TensorArrayWriteV3(handle=handle, index=i, value=x[i] ** 2, flow_in=flow)
        return R.TensorArrayGatherV3(handle=handle, indices=[0, 1, 2], flow_in=flow, dtype=x.dtype, element_shape=[2])

    def scattered(x: tf.Tensor) -> tf.Tensor:
        handle, flow = made(x)
        flow = R.TensorArrayScatterV3(handle=handle, indices=[2, 0, 1], value=x, flow_in=flow)
        return R.TensorArrayReadV3(handle=handle, index=0, flow_in=flow, dtype=x.dtype) ** 2

    def split(x: tf.Tensor) -> tf.Tensor:
        handle, flow = made(x, 2)
        flow = R.TensorArraySplitV3(handle=handle, value=x, lengths=tf.constant([1, 2], tf.int64), flow_in=flow)
        return R.TensorArrayConcatV3(handle=handle, flow_in=flow, dtype=x.dtype)[0] ** 2

    return {"write and gather": written, "scatter and read": scattered, "split and concat": split}


def _loops() -> list[Entry]:
    x = numbers(2, 2)

    loop = lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.sin(y) @ x), (tf.constant(0), x))[1]  # noqa: E731
    dynamic = lambda x: tf.while_loop(  # noqa: E731
        lambda y: tf.reduce_sum(y * y) < 30, lambda y: (1.5 * y + x,), (x,)
    )[0]
    return [
        entry("tf.while_loop", loop, x),
        entry("tf.while_loop of unknown length", dynamic, x),
        entry(
            "tf.while_loop, maximum_iterations",
            lambda x: tf.while_loop(lambda y: tf.constant(True), lambda y: (y * y + x,), (x,), maximum_iterations=2)[0],
            x,
        ),
        entry("tf.scan", lambda x: tf.scan(lambda a, b: a * b + b, x), x),
        entry(
            "tf.scan, reverse, initializer",
            lambda x: tf.scan(lambda a, b: tf.tanh(a + b), x, initializer=x[0] ** 2, reverse=True),
            x,
        ),
        entry("tf.foldl", lambda x: tf.foldl(lambda a, b: a * b + b, x), x),
        entry("tf.foldr", lambda x: tf.foldr(lambda a, b: a * b + b, x), x),
        entry("tf.map_fn", lambda x: tf.map_fn(lambda row: tf.cumsum(row) ** 2, x), x),
        entry("tf.vectorized_map", lambda x: tf.vectorized_map(lambda row: tf.cumsum(row) ** 2, x), x),
        entry("tf.cond", lambda x: tf.cond(x[0, 0] > 0, lambda: tf.sin(x), lambda: x**3), x),
        entry(
            "tf.switch_case",
            lambda x: tf.switch_case(tf.cast(x[0, 0] > -9, tf.int32), [lambda: x, lambda: tf.sin(x) * x]),
            x,
        ),
        entry(
            "tf.case",
            lambda x: tf.case([(x[0, 0] > 9, lambda: x), (x[1, 1] > -9, lambda: x * x)], default=lambda: 2 * x),
            x,
        ),
        entry("keras.ops.scan", lambda x: keras.ops.scan(lambda a, b: (a * b + b, a), x[0], x)[1], x),
        entry("keras.ops.associative_scan", lambda x: keras.ops.associative_scan(lambda a, b: a * b, x), x),
        entry("keras.ops.fori_loop", lambda x: keras.ops.fori_loop(0, 3, lambda i, y: tf.sin(y) @ x, x), x),
        entry(
            "keras.ops.while_loop",
            lambda x: keras.ops.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * x), (0, x))[1],
            x,
        ),
        entry("keras.ops.cond", lambda x: keras.ops.cond(x[0, 0] > 0, lambda: tf.sin(x), lambda: x**3), x),
        entry("keras.ops.switch", lambda x: keras.ops.switch(tf.constant(1), [lambda y: y, lambda y: y * y], x), x),
        entry("keras.ops.vectorized_map", lambda x: keras.ops.vectorized_map(lambda row: row[0] * row, x), x),
        entry("keras.ops.map", lambda x: keras.ops.map(lambda row: row[0] * row, x), x),
    ]


ENTRIES = [*_layers(), *_cells(), *_tables(), *_lists(), *_loops()]
