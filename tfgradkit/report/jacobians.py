"""Jacobians at the sample points, a matrix for each point: outputs by inputs, within a number of entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf

from ..arguments import floating_results
from ..derivatives.operators import build
from ..differentiable import Differentiable
from ..errors import GradientError, SignatureError
from .report_points import Limits, Points

Array = np.ndarray


@dataclass(frozen=True)
class Jacobians:
    """Jacobians of R outputs by C inputs at S points.

    Attributes:
        x, y: [S, C] and [S, R].
        matrix: [S, R, C].
        rows, columns: labels of the outputs and inputs.
        total_rows: how many outputs the model has.
        limit: a sentence on the outputs and points that are left out; "" where none is.
    """

    x: Array
    y: Array
    matrix: Array
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    total_rows: int
    limit: str = ""

    @property
    def finite(self) -> Array:
        """Whether all entries of a point are finite, [S]."""
        return np.isfinite(self.matrix).all(axis=(1, 2))


def jacobians(
    source: Differentiable, points: Points, input_names: Sequence[str], output_names: Sequence[str], limits: Limits
) -> Jacobians:
    """The Jacobians of a function by all of its floating arguments.

    Raises:
        SignatureError: no floating argument, or results without a derivative.
        GradientError: the function can't be differentiated.
    """
    picked = floating_arguments(points)
    shapes = _result_shapes(source, points)
    labels = [label for name, shape in zip(output_names, shapes, strict=True) for label in element_names(name, shape)]
    names = iter(input_names)
    columns: list[str] = []
    for position, argument in enumerate(points.arguments):
        for leaf in tf.nest.flatten(argument):
            own = next(names)
            columns += element_names(own, leaf.shape[1:]) if position in picked else ()
    rows = _spaced(len(labels), max(1, limits.entries // max(1, len(columns))))
    count = min(points.count, max(1, limits.entries // max(1, len(rows) * len(columns))))
    x, y, matrix = _evaluated(source, points.limited(count), picked, rows if len(rows) < len(labels) else None)
    kept = [
        *([f"{len(rows):,} of the {len(labels):,} outputs, evenly spaced"] if len(rows) < len(labels) else []),
        *([f"{count} of the {points.count} points"] if count < points.count else []),
    ]
    limit = f"Too large to look at whole: {' and '.join(kept)} are shown." if kept else ""
    return Jacobians(x, y, matrix, tuple(labels[i] for i in rows), tuple(columns), len(labels), limit)


def element_names(name: str, shape: Sequence[int]) -> list[str]:
    """``y[0]``, ``y[1]``, …; the name alone for a single element."""
    sizes = list(shape)
    if int(np.prod(sizes)) == 1:
        return [name]
    return [f"{name}[{','.join(map(str, index))}]" for index in product(*map(range, sizes))]


def floating_arguments(points: Points) -> tuple[int, ...]:
    """Positions of the floating arguments.

    Raises:
        SignatureError: there are none.
    """
    kinds = [{leaf.dtype.is_floating for leaf in tf.nest.flatten(argument)} for argument in points.arguments]
    picked = tuple(position for position, kind in enumerate(kinds) if kind == {True})
    if not picked:
        dtypes = {leaf.dtype.name for leaf in tf.nest.flatten(points.arguments)}
        raise SignatureError(
            "no input is floating, so nothing can be differentiated by them",
            expected="float16, bfloat16, float32 or float64",
            got=", ".join(sorted(dtypes)),
            hint="differentiate the part of the model behind the embedding or the cast: "
            'tgk.jacobian(model, wrt="layer:NAME")',
        )
    return picked


def _result_shapes(source: Differentiable, points: Points) -> list[list[int]]:
    """The shapes of one sample's results."""
    results = floating_results(source.call(*points.first(1)), source.name)
    if any(y.dtype.is_complex for y in results):
        raise SignatureError("complex results are not drawn", subject=source.name, expected="real results")
    if source.batched and any(y.shape.rank == 0 or y.shape[0] != 1 for y in results):
        raise GradientError(
            "the result has no axis for the samples of the batch",
            subject=source.name,
            expected="a result whose first axis counts the samples",
            got=", ".join(str(y.shape) for y in results),
            hint="batched=False for a function of one sample",
        )
    return [y.shape[source.batched :].as_list() for y in results]


def _spaced(count: int, limit: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, limit)).astype(int).tolist()))


def _evaluated(
    source: Differentiable, points: Points, picked: tuple[int, ...], rows: list[int] | None
) -> tuple[Array, Array, Array]:
    flat = replace(source, call=_flat(source, rows), output_names=())
    derivative = build("jacobian", ("value", "jacobian"), flat, {"argnums": picked})
    results = [derivative(*arguments) for arguments in points.calls()]
    if not points.batched:
        results = [tf.nest.map_structure(lambda *ts: tf.stack(ts), *results)]
    y, blocks = results[0]
    matrices = [_matrix(block, y.shape[1]) for block in tf.nest.flatten(blocks)]
    chosen = [leaf for position in picked for leaf in tf.nest.flatten(points.arguments[position])]
    x = np.concatenate([np.asarray(leaf, np.float64).reshape(points.count, -1) for leaf in chosen], axis=1)
    return x, np.asarray(y, np.float64), np.concatenate(matrices, axis=2)


def _flat(source: Differentiable, rows: list[int] | None) -> Any:
    """The function with all results in a row, or only the elements ``rows`` of it."""

    def call(*arguments: Any) -> tf.Tensor:
        results = floating_results(source.call(*arguments), source.name)
        # The sizes come from the tensors, so that the batch size stays unknown.
        flat = [tf.cast(tf.reshape(y, _row_shape(y, source.batched)), tf.float64) for y in results]
        joined = flat[0] if len(flat) == 1 else tf.concat(flat, axis=-1)
        return joined if rows is None else tf.gather(joined, rows, axis=-1)

    return call


def _row_shape(y: tf.Tensor, batched: bool) -> list[Any]:
    if not batched:
        return [-1]
    sizes = y.shape[1:]
    return [-1, sizes.num_elements()] if sizes.is_fully_defined() else [tf.shape(y)[0], -1]


def _matrix(block: tf.Tensor, rows: int) -> Array:
    array = np.asarray(block, np.float64)
    return array.reshape(array.shape[0], rows, -1)
