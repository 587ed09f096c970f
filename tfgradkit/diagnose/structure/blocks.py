"""The blocks of a derivative: their names, rows and columns in the whole matrix, and what is known of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from ...derivatives.derivative import Derivative
from ...graph.trace import flat_function, specs_of
from ...public import public
from ..graph.graph_view import leaf_names

# A result or an argument: its name, and how many elements it has in one sample.
Leaf = tuple[str, int]


@dataclass(frozen=True)
class BlockPlace:
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


def places(derivative: Derivative, arguments: Sequence[Any]) -> list[BlockPlace]:
    """The blocks, in the order of the results of a call."""
    found: list[Any] = []
    value = Derivative(derivative.source, "value", ("value",), derivative.options)

    def trace(nest: list[Any]) -> None:
        structures = value.evaluate(nest, inlined=True).structures
        batched = derivative.source.batched
        ys = _leaves(structures["y"], leaf_names([structures["y"]], ("y",)), batched)
        found[:] = ys, _leaves(structures["x"], _input_names(derivative, structures["x"], len(arguments)), batched)

    flat, tensors = flat_function(trace, list(arguments))
    tf.function(flat, autograph=False).get_concrete_function(*specs_of(tensors))
    ys, xs = found
    return list(_hessian(ys, xs) if derivative.operator == "hessian" else _jacobian(ys, xs))


def _jacobian(ys: list[Leaf], xs: list[Leaf]) -> Iterator[BlockPlace]:
    row = 0
    for y, rows in ys:
        column = 0
        for x, columns in xs:
            yield BlockPlace(y, (x,), 1, rows, columns, row, column, len(ys) == len(xs) == 1)
            column += columns
        row += rows


def _hessian(ys: list[Leaf], xs: list[Leaf]) -> Iterator[BlockPlace]:
    row = 0
    for y, lead in ys:
        for first, rows in xs:
            column = 0
            for x, columns in xs:
                yield BlockPlace(y, (first, x), lead, rows, columns, row, column, first == x)
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


How = Literal["proven", "shown", "sampled"]


@public("types")
@dataclass(frozen=True)
class Fact:
    """Something about a block, and how it is known.

    Attributes:
        value: a truth value, a number, or a pair of them.
        how: "proven" from the graph, for all arguments; "shown" by a sample that contradicts the contrary;
            "sampled" where no sample contradicts it, which proves nothing.
    """

    value: Any
    how: How

    @property
    def proven(self) -> bool:
        """Whether it holds for all arguments."""
        return self.how != "sampled"

    def __bool__(self) -> bool:
        return bool(self.value)


@public("types")
@dataclass(frozen=True)
class Block:
    """The derivative of one result by one argument (a Hessian's: by two), as a matrix.

    Attributes:
        output, inputs: their names.
        shape: of the block for one sample.
        rows, columns: of the matrix: the flattened result by the flattened argument; for a Hessian the first argument
            by the second, where facts hold for each component of the result.
        zero: whether all of it is zero.
        constant: whether it is the same for all arguments.
        symmetric, diagonal: None where it is not square.
        bandwidths: how many diagonals below and above the main one can have entries.
        entries: how many can be other than zero.
        parts: into how many blocks rows and columns can be sorted that have nothing to do with each other.
        value: of a block that is proven to be constant, for one sample.
    """

    output: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    rows: int
    columns: int
    zero: Fact
    constant: Fact
    symmetric: Fact | None
    diagonal: Fact | None
    bandwidths: Fact
    entries: Fact
    parts: Fact
    value: np.ndarray | None = field(repr=False)

    @property
    def density(self) -> float:
        """The share of entries that can be other than zero."""
        return self.entries.value / max(1, self.rows * self.columns)

    def __str__(self) -> str:
        by = "".join(f"/d {name}" for name in self.inputs)
        head = f"d {self.output}{by}: {self.rows:,} by {self.columns:,}"
        width = max(len(name) for name, _ in self._lines())
        return "\n".join([head, *(f"    {name:<{width}}  {text}" for name, text in self._lines())])

    def _lines(self) -> Iterator[tuple[str, str]]:
        if self.zero:
            yield "zero", _yes(self.zero)
            return
        yield "constant", _yes(self.constant)
        if self.symmetric is not None:
            yield "symmetric", _yes(self.symmetric)
        if self.diagonal is not None:
            yield "diagonal", _yes(self.diagonal)
        below, above = self.bandwidths.value
        if not self.diagonal and (below + 1 < self.rows or above + 1 < self.columns):
            yield "banded", f"{below:,} diagonals below the main one, {above:,} above; {self.bandwidths.how}"
        size = self.rows * self.columns
        if self.entries.value < size:
            yield "entries", f"{self.entries.value:,} of {size:,} ({self.density:.2g}); {self.entries.how}"
        if self.parts.value > 1 and not self.diagonal:
            yield "falls into", f"{self.parts.value:,} independent blocks; {self.parts.how}"
        if self.value is not None:
            yield "value", np.array2string(self.value, precision=6, threshold=12, max_line_width=1000).replace("\n", "")


@public("types")
@dataclass(frozen=True)
class Structure:
    """What is known of a derivative; iterates its blocks, ``str()`` is for people.

    Attributes:
        name: of the derivative.
        blocks: for each result each argument, results outside.
        points: how many random arguments were tried.
        notes: what could not be looked at, and why.
    """

    name: str
    blocks: tuple[Block, ...]
    points: int
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def __str__(self) -> str:
        many = f"{len(self.blocks)} block{'s' * (len(self.blocks) != 1)}"
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([f"{self.name}: {many}, tried at {self.points} points", *map(str, self.blocks), *notes])


def _yes(fact: Fact) -> str:
    how = {"proven": "proven", "shown": "shown by a sample", "sampled": "as far as samples show"}[fact.how]
    return f"{'yes' if fact.value else 'no'}, {how}"
