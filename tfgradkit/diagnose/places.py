"""Where the blocks of a derivative are: their names, and their rows and columns in the whole matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ..derivatives.derivative import Derivative
from ..graph.view import leaf_names

# A result or an argument: its name, and how many elements it has in one sample.
Leaf = tuple[str, int]


@dataclass(frozen=True)
class Place:
    """One block: ``[lead, rows, columns]``; of a Hessian, lead is the result's size.

    Attributes:
        output, inputs: names.
        first_row, first_column: in the pattern.
        same: whether rows and columns are the same argument, or may be.
    """

    output: str
    inputs: tuple[str, ...]
    lead: int
    rows: int
    columns: int
    first_row: int
    first_column: int
    same: bool

    def part_of(self, pattern: Any) -> np.ndarray:
        """The block's part of a sparse matrix, ``[rows, columns]``: of each component of the result."""
        rows = slice(self.first_row, self.first_row + self.lead * self.rows)
        part = pattern[rows, self.first_column : self.first_column + self.columns].toarray()
        whole: np.ndarray = part.reshape(self.lead, self.rows, self.columns).any(0)
        return whole


def places(derivative: Derivative, arguments: Sequence[Any]) -> list[Place]:
    """The blocks, in the order of the results of a call."""
    found: list[Any] = []
    value = Derivative(derivative.source, "value", ("value",), derivative.options)
    leaves = tf.nest.flatten(list(arguments))
    tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, tf.Tensor)]

    def trace(*given: tf.Tensor) -> None:
        filled = dict(zip(tensors, given, strict=True))
        nest = tf.nest.pack_sequence_as(list(arguments), [filled.get(i, leaf) for i, leaf in enumerate(leaves)])
        structures = value.evaluate(nest, inlined=True).structures
        batched = derivative.source.batched
        ys = _leaves(structures["y"], leaf_names([structures["y"]], ("y",)), batched)
        found[:] = ys, _leaves(structures["x"], _input_names(derivative, structures["x"], len(arguments)), batched)

    specs = [tf.TensorSpec(leaves[i].shape, leaves[i].dtype) for i in tensors]
    tf.function(trace, autograph=False).get_concrete_function(*specs)
    ys, xs = found
    return list(_hessian(ys, xs) if derivative.operator == "hessian" else _jacobian(ys, xs))


def _jacobian(ys: list[Leaf], xs: list[Leaf]) -> Iterator[Place]:
    row = 0
    for y, rows in ys:
        column = 0
        for x, columns in xs:
            yield Place(y, (x,), 1, rows, columns, row, column, len(ys) == len(xs) == 1)
            column += columns
        row += rows


def _hessian(ys: list[Leaf], xs: list[Leaf]) -> Iterator[Place]:
    row = 0
    for y, lead in ys:
        for first, rows in xs:
            column = 0
            for x, columns in xs:
                yield Place(y, (first, x), lead, rows, columns, row, column, first == x)
                column += columns
            row += lead * rows


def _input_names(derivative: Derivative, nest: Any, count: int) -> list[str]:
    options, names = derivative.options, derivative.source.argument_names
    if not options.by_inputs:
        if isinstance(options.wrt, str) and options.wrt != "parameters":
            return leaf_names([nest], (options.wrt,))
        return [variable.name.partition(":")[0] for variable in tf.nest.flatten(nest)]
    roots = tuple(
        names[p] if p < len(names) else "x" if count == 1 else f"argument {p}"
        for p in (q % count for q in options.positions)
    )
    return leaf_names(list(nest) if isinstance(options.argnums, tuple) else [nest], roots)


def _leaves(nest: Any, names: list[str], batched: bool) -> list[Leaf]:
    return [(name, _size(leaf, batched)) for name, leaf in zip(names, tf.nest.flatten(nest), strict=True)]


def _size(leaf: Any, batched: bool) -> int:
    shape = leaf.shape.as_list()
    return math.prod(shape[1:] if batched and not isinstance(leaf, tf.Variable) else shape)
