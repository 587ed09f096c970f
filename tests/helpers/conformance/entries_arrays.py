"""What moves, repeats, chooses or pads elements: axes from either end, broadcasting, attributes that are seldom set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .entry import Entry, entry, numbers

K, R = keras.ops, tf.raw_ops
X, Y, Z = numbers(2, 3), numbers(2, 3, seed=1), numbers(2, 3, 4)
V = numbers(5)
PICTURE = numbers(1, 4, 4, 2)


def squared(f: Callable[..., Any], *args: Any, **keywords: Any) -> Callable[..., Any]:
    """The square of what is moved, so that there is a second derivative."""
    return lambda x: tf.nest.map_structure(tf.square, f(x, *args, **keywords))


def _moved() -> list[Entry]:
    pads = [[1, 0], [0, 2]]
    one: dict[str, tuple[Callable[..., Any], np.ndarray]] = {
        "tf.roll, axis=-1": (squared(tf.roll, 1, -1), X),
        "tf.roll, axis=[0, -1]": (squared(tf.roll, [1, -1], [0, -1]), X),
        "keras.ops.roll of all": (squared(K.roll, 2), X),
        "tf.reverse, axis=[-1]": (squared(tf.reverse, [-1]), X),
        "keras.ops.flip, axis=0": (squared(K.flip, 0), X),
        "keras.ops.rot90": (squared(K.rot90, 1, (0, 1)), X),
        "tf.transpose, perm": (squared(tf.transpose, [2, 0, 1]), Z),
        "keras.ops.moveaxis": (squared(K.moveaxis, 0, -1), Z),
        "keras.ops.swapaxes": (squared(K.swapaxes, 0, -1), Z),
        "tf.pad, CONSTANT": (squared(tf.pad, pads, constant_values=0.5), X),
        "tf.pad, REFLECT": (squared(tf.pad, [[1, 0], [2, 1]], "REFLECT"), X),
        "tf.pad, SYMMETRIC": (squared(tf.pad, [[2, 1], [0, 3]], "SYMMETRIC"), X),
        "keras.ops.pad, mode reflect": (squared(K.pad, [[0, 0], [1, 2]], mode="reflect"), X),
        "tf.tile": (squared(tf.tile, [2, 3]), X),
        "tf.repeat, axis=-1": (squared(tf.repeat, [1, 0, 3], -1), X),
        "tf.repeat of all": (squared(tf.repeat, 2), X),
        "keras.ops.repeat, axis=0": (squared(K.repeat, 2, 0), X),
        "tf.broadcast_to": (squared(tf.broadcast_to, [4, 2, 3]), X),
        "tf.expand_dims, axis=-2": (squared(tf.expand_dims, -2), X),
        "tf.squeeze, axis=-1": (lambda x: tf.squeeze(x[..., None] ** 2, -1), X),
        "tf.reshape, -1": (squared(tf.reshape, [3, -1]), X),
        "tf.slice": (squared(tf.slice, [0, 1], [-1, 2]), X),
        "strides": (lambda x: x[::-1, 2::-2] ** 2, X),
        "an ellipsis and new axes": (lambda x: x[..., None, 1:, :] ** 2, Z),
        "one index, from the end": (lambda x: x[-1] ** 2, X),
        "tf.space_to_batch": (squared(tf.space_to_batch, [2, 2], [[0, 0], [0, 0]]), PICTURE),
        "tf.batch_to_space": (lambda x: tf.batch_to_space(x, [2, 2], [[0, 1], [0, 0]]) ** 2, numbers(4, 2, 2, 1)),
        "tf.nn.space_to_depth": (squared(tf.nn.space_to_depth, 2), PICTURE),
        "tf.nn.depth_to_space": (squared(tf.nn.depth_to_space, 2), numbers(1, 2, 2, 4)),
        "tf.reverse_sequence": (squared(tf.reverse_sequence, [1, 3], seq_axis=1, batch_axis=0), X),
        "tf.linalg.diag_part, k": (squared(tf.linalg.diag_part, k=(-1, 1)), Z),
        "tf.split, axis=-1": (squared(tf.split, [1, 2], -1), X),
        "tf.split by number": (squared(tf.split, 2, 0), X),
        "tf.unstack, axis=-1": (squared(tf.unstack, axis=-1), X),
        "keras.ops.split, axis=1": (squared(K.split, 3, axis=1), X),
        "keras.ops.array_split": (squared(K.array_split, 2, axis=1), X),
        "tf.meshgrid": (lambda x: tf.nest.map_structure(tf.square, tf.meshgrid(x, x * x)), V[:3]),
        "keras.ops.ravel": (squared(K.ravel), X),
        "keras.ops.trace": (squared(K.trace, 1), Z),
        "keras.ops.diagonal": (squared(K.diagonal, 1, 1, 2), Z),
        "keras.ops.tri, by a mask": (lambda x: K.tril(x, -1) ** 2, X),
        "keras.ops.nan_to_num": (squared(K.nan_to_num), X),
        "tf.identity_n": (lambda x: [tf.square(y) for y in tf.identity_n([x, x[0]])], X),
        "tf.ensure_shape": (squared(tf.ensure_shape, [None, 3]), X),
        "tf.stop_gradient of a part": (lambda x: x * tf.stop_gradient(0 * x + 2) + x**2, X),
        "tf.grad_pass_through": (lambda x: tf.identity(x) ** 3, X),
        "tf.fill": (lambda x: tf.fill([2, 2], x[0, 0]) ** 2, X),
        "tf.linspace by both ends": (lambda x: tf.linspace(x[0], x[1], 4) ** 2, X),
        "tf.range by its step": (lambda x: tf.range(x[0, 0], x[0, 0] + 1, 0.3) ** 2, np.abs(X)),
        "tf.zeros_like": (lambda x: tf.zeros_like(x) + x**2, X),
        "tf.cast there and back": (lambda x: tf.cast(tf.cast(x**2, tf.complex128), x.dtype), X),
        "tf.bitcast of complex numbers": (lambda x: tf.math.real(tf.complex(x, x)) ** 2, X),
    }
    skip = {"tf.linspace by both ends", "tf.range by its step"}
    return [entry(name, f, x, **({"tolerance": 1e-5} if name in skip else {})) for name, (f, x) in one.items()]


def _chosen() -> list[Entry]:
    i, nested = tf.constant([2, 0, 2]), tf.constant([[1, 0], [1, 2]])
    one = {
        "tf.gather, axis=-1": squared(tf.gather, i, axis=-1),
        "tf.gather, axis=0, int64": squared(tf.gather, tf.constant([1, 1, 0], tf.int64), axis=0),
        "tf.gather, batch_dims=1": squared(tf.gather, nested, axis=1, batch_dims=1),
        "tf.gather, batch_dims=-1": squared(tf.gather, nested, axis=1, batch_dims=-1),
        "tf.gather_nd": squared(tf.gather_nd, nested),
        "tf.gather_nd, batch_dims": squared(tf.gather_nd, tf.constant([[1], [2]]), batch_dims=1),
        "tf.nn.embedding_lookup": squared(tf.nn.embedding_lookup, tf.constant([1, 0, 1])),
        "tf.nn.embedding_lookup, max_norm": squared(tf.nn.embedding_lookup, tf.constant([1, 0, 1]), max_norm=0.5),
        "tf.boolean_mask": squared(tf.boolean_mask, [[True, False, True], [False, True, True]]),
        "tf.where of indices": lambda x: tf.gather_nd(x, tf.where(x > 0)) ** 2,
        "tf.where, broadcast": lambda x: tf.where(x[:, :1] > 0, x**2, x[0] * 2),
        "tf.dynamic_partition": lambda x: [y**2 for y in tf.dynamic_partition(x, [1, 0], 2)],
        "tf.one_hot product": lambda x: tf.one_hot([0, 2], 3, dtype=x.dtype) * x**2,
        "tf.unique": lambda x: tf.unique(tf.reshape(x, [-1]))[0] ** 2,
        "tf.searchsorted and gather": lambda x: tf.gather(x[0], tf.searchsorted([0.0, 1.0], [0.5, -1.0])) ** 2,
        "keras.ops.take, axis=1": squared(K.take, np.array([2, -1]), 1),
        "keras.ops.take of all": squared(K.take, np.array([5, 0])),
        "keras.ops.take_along_axis": squared(K.take_along_axis, np.array([[0, 2], [1, 1]]), 1),
        "keras.ops.where": lambda x: K.where(x > 0, K.sin(x), x**2),
        "keras.ops.select": lambda x: K.select([x > 1, x > 0], [x**2, K.sin(x)], 0.0),
        "keras.ops.slice": squared(K.slice, (0, 1), (2, 2)),
        "keras.ops.clip": squared(K.clip, -0.4, 0.6),
        "keras.ops.maximum of a constant": lambda x: K.maximum(x, 0.2) ** 2,
        "keras.ops.searchsorted": lambda x: x * tf.cast(K.searchsorted(np.array([0.0, 1.0]), x[0]), x.dtype),
        "keras.ops.cond": lambda x: K.cond(K.sum(x) > 100, lambda: x, lambda: x**2),
        "keras.ops.vectorized_map": lambda x: K.vectorized_map(lambda row: row * K.sum(row), x),
        "keras.ops.map": lambda x: K.map(lambda row: row * K.sum(row), x),
        "keras.ops.while_loop": lambda x: K.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), (0, x))[1],
        "keras.ops.fori_loop": lambda x: K.fori_loop(0, 3, lambda i, y: K.sin(y) + x, x),
        "keras.ops.scan": lambda x: K.scan(lambda c, y: (c * y, c + y), x[0], x)[1],
        "keras.ops.switch": lambda x: K.switch(1, [lambda y: y, lambda y: y**2], x),
        "keras.ops.unstack": lambda x: [K.square(y) for y in K.unstack(x, axis=-1)],
        "keras.ops.custom_gradient": lambda x: K.custom_gradient(_cube)(x),
        "tf.vectorized_map": lambda x: tf.vectorized_map(lambda row: row * tf.reduce_sum(row), x),
        "tf.map_fn": lambda x: tf.map_fn(lambda row: row * tf.reduce_sum(row), x),
        "tf.foldl": lambda x: tf.foldl(lambda a, row: a * 0.5 + tf.sin(row), x),
        "tf.foldr": lambda x: tf.foldr(lambda a, row: a * row, x),
        "tf.scan, reverse": lambda x: tf.scan(lambda a, row: a * 0.5 + row**2, x, reverse=True),
        "tf.switch_case": lambda x: tf.switch_case(tf.constant(1), [lambda: x, lambda: x**2]),
        "tf.case": lambda x: tf.case([(tf.reduce_sum(x) > 100, lambda: x)], default=lambda: x**3),
        "tf.cond": lambda x: tf.cond(tf.reduce_sum(x) > 100, lambda: x, lambda: tf.sin(x)),
        "tf.while_loop": lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), (0, x))[1],
        "tf.custom_gradient": lambda x: tf.custom_gradient(_cube)(x),
        "tf.recompute_grad": lambda x: tf.recompute_grad(lambda y: tf.sin(y) * y)(x),
    }
    slow = ("tf.scan, reverse", "tf.foldl", "tf.foldr", "keras.ops.scan")
    return [entry(n, f, X, skip={"compiled": "slow"} if n in slow else {}) for n, f in one.items()]


def _cube(x: tf.Tensor) -> Any:
    return x**3, lambda upstream, *_: upstream * 3 * x**2


def _joined() -> list[Entry]:
    two = {
        "tf.concat, axis=-1": lambda x, y: tf.concat([x * y, y], -1),
        "tf.concat, axis=0": lambda x, y: tf.concat([x, x * y], 0),
        "tf.stack, axis=-1": lambda x, y: tf.stack([x * y, y], -1),
        "keras.ops.stack, axis=1": lambda x, y: K.stack([x * y, y], 1),
        "keras.ops.append": lambda x, y: K.append(x * y, y, -1),
        "keras.ops.hstack": lambda x, y: K.hstack([x, x * y]),
        "keras.ops.vstack": lambda x, y: K.vstack([x, x * y]),
        "tf.where": lambda x, y: tf.where(x > y, x * y, y**2),
        "tf.raw_ops.Select of rows": lambda x, y: R.Select(condition=[True, False], x=x * y, y=y),
        "tf.tensor_scatter_nd_update": lambda x, y: tf.tensor_scatter_nd_update(x, [[1]], y[:1] ** 2),
        "tf.tensor_scatter_nd_add": lambda x, y: tf.tensor_scatter_nd_add(x, [[1], [1]], y**2),
        "tf.tensor_scatter_nd_min": lambda x, y: tf.tensor_scatter_nd_min(x, [[1]], y[:1] ** 2),
        "keras.ops.scatter": lambda x, y: K.scatter(np.array([[1], [0]]), x * y, (3, 3)),
        "tf.meshgrid, ij": lambda x, y: tf.meshgrid(x[0] * y[0], y[1], indexing="ij"),
        "tf.clip_by_value by tensors": lambda x, y: tf.clip_by_value(x * x, -0.3 + 0 * y, y * y),
        "tf.strided_slice update": lambda x, y: R.TensorStridedSliceUpdate(
            input=x, begin=[0, 1], end=[2, 3], strides=[1, 1], value=y[:, :2] ** 2
        ),
        "tf.pad by its value": lambda x, y: tf.pad(x, [[0, 0], [1, 1]], constant_values=y[0, 0] * y[0, 1]),
        "tf.sparse.sparse_dense_matmul": lambda x, y: tf.sparse.sparse_dense_matmul(
            tf.sparse.SparseTensor([[0, 1], [1, 0], [1, 2]], x[0] * x[1], [2, 3]), tf.transpose(y)
        ),
        "ragged row splits": lambda x, y: tf.RaggedTensor.from_row_lengths(x[0] * y[0], [1, 2]).to_tensor(0.5),
    }
    return [entry(name, f, (X, Y)) for name, f in two.items()]


ENTRIES = [*_moved(), *_chosen(), *_joined()]
