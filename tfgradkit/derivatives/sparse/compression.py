"""The entries of a Jacobian from one pass a colour: columns that share no row are computed together.

A gather takes the compressed rows or columns apart. A. Curtis, M. Powell, J. Reid, "On the estimation of sparse
Jacobian matrices" (1974); T. Coleman, J. Moré, "Estimation of sparse Jacobian matrices and graph coloring problems"
(1983); A. Gebremedhin, F. Manne, A. Pothen, "What color is your Jacobian?", SIAM Review 47 (2005).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from ...analysis.sparsity.scipy_access import group_columns
from ...arguments import dims, size, split
from ...errors import GradientError
from ...public import public
from ..first_order import Parts
from ..problem import Problem
from ..pullback import Pullback, Tensors, pullback
from ..sweep.plan import PlanStep
from ..sweep.seeded_products import Facts, SeededProduct, linearized, swept
from .matrices import index_tensors


@dataclass(frozen=True)
class Colouring:
    """Colours of the columns (forward mode) or of the rows (reverse mode) of a pattern.

    Attributes:
        forward: whether columns are coloured.
        colours: of each column, or row; -1 for an empty one, which needs no pass.
        count: how many there are.
    """

    forward: bool
    colours: np.ndarray
    count: int


def coloured(pattern: Any, forward: bool) -> Colouring:
    """A greedy colouring: in natural order, best for stencils, or the fullest first, best for many others."""
    matrix = (pattern if forward else pattern.T).tocsc()
    entries = np.diff(matrix.indptr)
    used = np.flatnonzero(entries)
    colours = np.full(matrix.shape[1], -1)
    if not len(used):
        return Colouring(forward, colours, 0)
    kept = matrix[:, used].astype(np.int32)
    orders = (np.arange(len(used)), np.argsort(-entries[used], kind="stable"))
    best = min((group_columns()(kept, order) for order in orders), key=np.max)
    colours[used] = best
    return Colouring(forward, colours, int(best.max()) + 1)


@public("types")
@dataclass(frozen=True)
class ColouredStep(PlanStep):
    """A sweep over colours.

    Attributes:
        pattern: a CSR matrix of bools.
        origin: where the pattern comes from.
    """

    pattern: Any = None
    origin: str = ""

    @cached_property
    def tensors(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Indices, where rows begin, and shape, as eager tensors."""
        return index_tensors(self.pattern)

    @property
    def colours(self) -> int:
        """How many there are: the passes."""
        return self.passes or 0

    def __str__(self) -> str:
        what = "columns" if self.mode == "forward" else "rows"
        rows, columns = self.pattern.shape
        return (
            f"pattern {self.origin}: {rows:,} by {columns:,}, {self.pattern.nnz:,} entries; "
            f"{self.colours} colours of {what}\n  {super().__str__()}"
        )


def sparse_jacobian(problem: Problem) -> Parts:
    """y, and the entries of ∂y/∂x: flattened ys by flattened xs."""
    ys: Tensors = []
    flat = flattened(problem, ys)
    pull = pullback(flat.call, flat.xs)
    pattern, origin = problem.extra["patterns"].of(problem, pull.ys[0], flat.xs[0])
    if problem.options.unconnected == "raise" and not pattern.nnz:
        flat.filled(None, lambda: pull.ys[0])
    linear, colouring = _direction(flat, pull, pattern)
    stacked, facts = _passes(linear, colouring)
    problem.log.append(ColouredStep(_name(colouring.forward), *facts, pattern, origin))
    return {"value": ys, "sparse_jacobian": _entries(linear, colouring, pattern, stacked)}


def flattened(problem: Problem, kept: Tensors) -> Problem:
    """The same function from one vector to one vector a sample, of the widest dtypes among its tensors.

    Its results, as they are, go into ``kept`` the first time.
    """
    shapes = [split(x, problem.batched)[1] for x in problem.xs]
    dtype = _widest(problem.xs)

    def f(xs: Tensors, copies: Any) -> Tensors:
        lead = dims(xs[0])[:1] if problem.batched else []
        parts = tf.split(xs[0], [size(s) for s in shapes], axis=-1) if len(shapes) > 1 else [xs[0]]
        ys = problem.f(
            [
                tf.reshape(tf.cast(part, x.dtype), [*lead, *shape])
                for part, x, shape in zip(parts, problem.xs, shapes, strict=True)
            ],
            copies,
        )
        kept[:] = kept or ys
        return [_joined(ys, problem.batched)]

    return replace(problem, f=f, xs=[_joined([tf.cast(x, dtype) for x in problem.xs], problem.batched)])


def _joined(tensors: Tensors, batched: bool) -> tf.Tensor:
    dtype = _widest(tensors)
    flat = []
    for tensor in tensors:
        batch, sample = split(tensor, batched)
        flat.append(tf.reshape(tf.cast(tensor, dtype), [*batch, size(sample)]))
    return flat[0] if len(flat) == 1 else tf.concat(flat, -1)


def _widest(tensors: Tensors) -> tf.DType:
    return max((t.dtype for t in tensors), key=lambda dtype: (dtype.is_complex, dtype.size))


def _direction(problem: Problem, pull: Pullback, pattern: Any) -> tuple[SeededProduct, Colouring]:
    """Columns or rows, whichever have fewer colours; a tie goes forward, as for a dense Jacobian."""
    mode = problem.options.mode
    options = [coloured(pattern, forward) for forward in (True, False) if mode in ("auto", _name(forward))]
    best = min(options, key=lambda colouring: colouring.count)
    try:
        return _linear(problem, pull, best), best
    except GradientError:
        # An op whose gradient has no gradient of its own: reverse mode doesn't need that.
        if mode != "auto" or not best.forward:
            raise
        return _linear(problem, pull, options[-1]), options[-1]


def _linear(problem: Problem, pull: Pullback, colouring: Colouring) -> SeededProduct:
    return replace(linearized(problem, colouring.forward, pull), colours=colouring.colours)


def _name(forward: bool) -> str:
    return "forward" if forward else "reverse"


def _passes(linear: SeededProduct, colouring: Colouring) -> tuple[tf.Tensor, Facts]:
    """``[colours, B, rows]`` (forward) or ``[colours, B, columns]`` (reverse), and how they came."""
    if not colouring.count:
        like = linear.likes[0]
        return tf.zeros([0, *dims(like)], like.dtype), ("loop", 0, None, 0, "the pattern is empty")
    stacked, facts = swept(linear, 0, colouring.count)
    return stacked[0], facts


def _entries(linear: SeededProduct, colouring: Colouring, pattern: Any, passes: tf.Tensor) -> tf.Tensor:
    """``[B, nnz]``, each entry from the pass of its colour: direct recovery."""
    batched, y = linear.problem.batched, linear.pull.ys[0]
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    seeded, other = (pattern.indices, rows) if colouring.forward else (rows, pattern.indices)
    width = pattern.shape[0 if colouring.forward else 1]
    places = tf.constant(colouring.colours[seeded].astype(np.int64) * width + other, tf.int64)
    # TensorFlow's gradient of a complex function is the conjugate.
    passes = tf.math.conj(passes) if not colouring.forward and passes.dtype.is_complex else passes
    passes = tf.transpose(passes, [1, 0, 2]) if batched else passes
    flat = tf.reshape(passes, [*dims(passes)[:1], -1] if batched else [-1])
    entries = tf.gather(flat, places, axis=-1)
    return entries if entries.dtype.is_complex and not y.dtype.is_complex else tf.cast(entries, y.dtype)
