"""Ragged tensors by their flat values: reductions, products, and the way to dense and sparse tensors and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from .entry import Entry, entry, numbers

R = tf.raw_ops
V, TIED = numbers(5), np.array([0.5, 0.5, -1.0, -1.0, 0.0])
LENGTHS, SPLITS = [2, 0, 3], np.array([0, 2, 2, 5], np.int64)


def ragged(values: tf.Tensor) -> tf.RaggedTensor:
    """Rows of two, no and three values."""
    return tf.RaggedTensor.from_row_splits(values, SPLITS, validate=False)


def nested(values: tf.Tensor) -> tf.RaggedTensor:
    """Two rows of rows."""
    return tf.RaggedTensor.from_row_lengths(ragged(values), [1, 2], validate=False)


def _reductions() -> list[Entry]:
    functions = {
        "sum": tf.reduce_sum,
        "mean": tf.reduce_mean,
        "max": tf.reduce_max,
        "min": tf.reduce_min,
        "prod": tf.reduce_prod,
        "variance": tf.math.reduce_variance,
        "std": tf.math.reduce_std,
    }

    def finite(y: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.abs(y) < 9, y, 0) ** 2

    return [
        *(
            entry(
                f"tf.reduce_{name} of ragged rows", lambda v, f=f: finite(f(_without_empty(v), 1)), V, TIED, scale=0.1
            )
            for name, f in functions.items()
        ),
        *(
            entry(f"tf.reduce_{name} over ragged rows", lambda v, f=f: f(ragged(v), 0) ** 2, V, TIED, scale=0.1)
            for name, f in list(functions.items())[:5]
        ),
        *(
            entry(f"tf.reduce_{name} of all that is ragged", lambda v, f=f: f(nested(v)) ** 2, V)
            for name, f in list(functions.items())[:5]
        ),
        entry("tf.reduce_sum of ragged rows, one empty", lambda v: tf.reduce_sum(ragged(v), 1) ** 2, V),
        entry("tf.reduce_mean of ragged rows, one empty", lambda v: tf.reduce_mean(ragged(v), 1)[:1] ** 2, V),
        entry("tf.reduce_sum of nested rows", lambda v: tf.reduce_sum(nested(v), 2).flat_values ** 2, V),
    ]


def _without_empty(values: tf.Tensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_splits(values, np.array([0, 2, 5], np.int64), validate=False)


def _values() -> list[Entry]:
    rows: dict[str, Callable[[tf.Tensor], Any]] = {
        "map_flat_values": lambda v: tf.ragged.map_flat_values(tf.tanh, ragged(v)),
        "sin": lambda v: tf.sin(ragged(v)),
        "times itself": lambda v: ragged(v) * ragged(v),
        "plus a number": lambda v: ragged(v) + v[0],
        "times a column": lambda v: ragged(v) * v[:3, None],
        "tf.concat, axis 1": lambda v: tf.concat([ragged(v), ragged(v * v)], 1),
        "tf.concat, axis 0": lambda v: tf.concat([ragged(v), ragged(v * v)], 0),
        "tf.stack": lambda v: tf.stack([ragged(v), ragged(v * v)], 1),
        "tf.gather": lambda v: tf.gather(ragged(v), [2, 0, 2]),
        "tf.gather, batch_dims": lambda v: tf.gather(ragged(v), tf.ragged.constant([[1], [], [0, 2]]), batch_dims=1),
        "tf.reverse": lambda v: tf.reverse(ragged(v), [1]),
        "tf.expand_dims": lambda v: tf.expand_dims(ragged(v), -1),
        "tf.tile": lambda v: tf.tile(ragged(v), [1, 2]),
        "tf.where": lambda v: tf.where(ragged(v) > 0.0, ragged(v), ragged(v * v)),
        "tf.boolean_mask": lambda v: tf.ragged.boolean_mask(ragged(v), [True, False, True]),
        "slice of rows": lambda v: ragged(v)[:, :2],
        "rows from the last": lambda v: ragged(v)[::-1],
        "tf.nn.dropout of none": lambda v: tf.nn.dropout(ragged(v), 0.0),
        "tf.clip_by_value": lambda v: tf.clip_by_value(ragged(v), -0.5, 0.5),
        "merge_dims": lambda v: nested(v).merge_dims(0, 1),
        "with_values": lambda v: ragged(v).with_values(v**3),
        "tf.nn.relu": lambda v: tf.nn.relu(ragged(v)),
        "tf.nn.softmax": lambda v: tf.nn.softmax(ragged(v)),
        "tf.ragged.stack_dynamic_partitions": lambda v: tf.ragged.stack_dynamic_partitions(v, [1, 0, 1, 2, 1], 3),
        "tf.map_fn of rows": lambda v: tf.map_fn(
            lambda row: row * tf.reduce_sum(row), ragged(v), fn_output_signature=tf.RaggedTensorSpec([None], v.dtype, 0)
        ),
        "tf.strided_slice of nested": lambda v: nested(v)[1],
    }
    return [entry(f"ragged, {name}", lambda v, f=f: f(v).flat_values ** 2, V) for name, f in rows.items()]


def _conversions() -> list[Entry]:
    matrix = numbers(3, 2, seed=1)
    return [
        entry("RaggedTensor.to_tensor", lambda v: ragged(v).to_tensor() ** 2, V),
        entry("RaggedTensor.to_tensor, shape", lambda v: ragged(v).to_tensor(shape=[4, 2]) ** 2, V),
        entry("RaggedTensor.to_tensor by its default", lambda v, d: ragged(v).to_tensor(d) ** 2, (V, np.array(0.3))),
        entry("RaggedTensor.to_sparse", lambda v: ragged(v).to_sparse().values ** 2, V),
        entry("RaggedTensor.from_tensor", lambda x: tf.RaggedTensor.from_tensor(x, [1, 2]).flat_values ** 2, matrix.T),
        entry(
            "RaggedTensor.from_tensor, padding",
            lambda x: tf.RaggedTensor.from_tensor(x, padding=0.0).flat_values ** 2,
            matrix,
        ),
        entry(
            "RaggedTensor.from_sparse", lambda v: tf.RaggedTensor.from_sparse(ragged(v).to_sparse()).flat_values ** 2, V
        ),
        entry("tf.matmul of a ragged tensor as dense", lambda v, y: ragged(v).to_tensor() @ y, (V, matrix)),
        entry(
            "tf.linalg.matmul of ragged batches",
            lambda v, y: (
                tf.matmul(
                    tf.RaggedTensor.from_row_lengths(tf.reshape(v, [3, 2]), [1, 2]), tf.stack([y, y * y])
                ).flat_values
            ),
            (numbers(6), numbers(2, 2)),
        ),
        entry(
            "tf.ragged.segment_ids_to_row_splits", lambda v: tf.math.segment_sum(v, ragged(v).value_rowids()) ** 2, V
        ),
        entry(
            "RaggedFillEmptyRows",
            lambda v, d: (
                R.RaggedFillEmptyRows(
                    value_rowids=np.array([0, 0, 2, 2, 2]), values=v, nrows=np.int64(3), default_value=d
                )[1]
                ** 2
            ),
            (V, np.array(0.3)),
        ),
        entry(
            "RaggedGather",
            lambda v: (
                R.RaggedGather(
                    params_nested_splits=[SPLITS], params_dense_values=v, indices=[2, 0, 2], OUTPUT_RAGGED_RANK=1
                )[1]
                ** 2
            ),
            V,
        ),
        entry("RaggedTensorToVariant", lambda v: _through_variant(v).flat_values ** 2, V),
        entry(
            "tf.ragged.cross of numbers that are looked up",
            lambda v: tf.gather(v, tf.ragged.range([2, 5]).flat_values) ** 2,
            V,
        ),
        entry(
            "RaggedRange",
            lambda a, d: R.RaggedRange(starts=a, limits=tf.cast([3.0, 2.0], a.dtype), deltas=d)[1],
            (np.array([0.3, 0.4]), np.array([0.9, 0.7])),
        ),
    ]


def _through_variant(values: tf.Tensor) -> tf.RaggedTensor:
    variant = ragged(values)._to_variant(batched_input=True)
    return tf.RaggedTensor._from_variant(variant, values.dtype, 1, 0)


ENTRIES = [*_reductions(), *_values(), *_conversions()]
