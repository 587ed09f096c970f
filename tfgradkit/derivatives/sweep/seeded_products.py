"""Products with a Jacobian for all unit seeds of a tensor: forward, from its xs, or reverse, from its ys.

All at once, over a repeated batch, or one after another, whole or in chunks. Results have the seeds as a new first
axis. How it is done changes the cost, never a value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ...arguments import Dims, dims, size, split
from ...errors import GradientError
from ...graph.converters import vectorized_map, which
from ..options import Strategy
from ..problem import Problem
from ..pullback import Partials, Product, Pullback, Tensors, or_zeros, pullback, transposed

# Inside a graph that its owner may compile, so few seeds are written out one by one: the weight
# gradient of TensorFlow's vectorized loop makes XLA compile again whenever a weight changes.
_FEW = 16
# Through a loop, so few passes cost less than the loop once more over a repeated batch: measured for an LSTM,
# two thirds at 1024 samples, and the same at 32.
_FEW_THROUGH_LOOPS = 4
# From more than this on, a loop is one of the graph rather than written out. Through loops of the function from
# ``_FEW_THROUGH_LOOPS`` on: twelve passes through three ``tf.map_fn`` took 7 s to trace and optimize, as a loop 2 s.
_MANY = 32

# What a plan says of a sweep: strategy, passes, chunk, bytes, reason; the bytes are counted when they are asked for.
Facts = tuple[str, int | None, int | None, Any, str]


@dataclass(frozen=True)
class SeededProduct:
    """A function linearized at a point in one direction.

    Attributes:
        problem: the function, and the point.
        pull: the function, evaluated there.
        forward: whether seeds are tangents of the xs; else they are gradients of the ys.
        product: from seeds to results.
        seeded, likes: tensors shaped like the seeds and like the results.
        colours: where a seed is the sum of the unit vectors of a colour, the colour of each; else None.
    """

    problem: Problem
    pull: Pullback
    forward: bool
    product: Product
    seeded: Tensors
    likes: Tensors
    colours: np.ndarray | None = None

    def along(self, index: int, seed: tf.Tensor) -> Tensors:
        """The results for a seed of one tensor, one for every sample or one for all; the others are zero."""
        return list(map(or_zeros, self.product(self.seeds(index, seed)), self.likes))

    def seeds(self, index: int, seed: tf.Tensor) -> Partials:
        """The seeds of all tensors, of which one is not zero."""
        seeds: Partials = [None] * len(self.seeded)
        like = self.seeded[index]
        full = seed.shape.is_fully_defined() and seed.shape == like.shape
        seeds[index] = seed if full else tf.broadcast_to(seed, dims(like))
        return seeds

    def repeated(self, copies: Any) -> SeededProduct:
        """The same products for the batch repeated, evaluated anew."""
        return replace(linearized(self.problem.repeat(copies), self.forward), colours=self.colours)

    def sample(self, index: int) -> Dims:
        """The axes of one sample of a seeded tensor."""
        return split(self.seeded[index], self.problem.batched)[1]

    def units(self, index: int, ids: Any) -> tf.Tensor:
        """Unit seeds, or colours, by number: ``[count, 1, *sample]``, without the 1 where not batched."""
        sample, dtype = self.sample(index), self.seeded[index].dtype
        lead = [1] if self.problem.batched else []
        if self.colours is not None:
            wanted = tf.convert_to_tensor(np.asarray(ids, np.int32) if isinstance(ids, range) else ids)
            chosen = tf.constant(self.colours, wanted.dtype)[None] == wanted[:, None]
            return tf.reshape(tf.cast(chosen, dtype), [-1, *lead, *sample])
        if isinstance(ids, range) and isinstance(size(sample), int):
            rows = np.zeros((len(ids), size(sample)))
            rows[np.arange(len(ids)), np.asarray(ids, int)] = 1
            return tf.constant(rows.reshape([len(ids), *lead, *sample]), dtype)
        return tf.reshape(tf.one_hot(ids, size(sample), dtype=dtype), [-1, *lead, *sample])


def linearized(problem: Problem, forward: bool, pull: Pullback | None = None) -> SeededProduct:
    """The function of ``problem``, evaluated there unless ``pull`` is that already."""
    pull = pull or pullback(problem.call, problem.xs)
    if forward:
        return SeededProduct(problem, pull, True, transposed(pull), problem.xs, pull.ys)
    return SeededProduct(problem, pull, False, pull.product, pull.ys, problem.xs)


@dataclass(frozen=True)
class Choice:
    """A strategy, and why."""

    strategy: Strategy
    reason: str


def swept(product: SeededProduct, index: int, count: Any = None) -> tuple[Tensors, Facts]:
    """Results for all unit seeds of a tensor, or ``count`` of them, ``[count, *result]`` each, and the plan's facts.

    Raises:
        GradientError: "tile" without a batch axis; "vectorize" where that can't be done.
    """
    count = size(product.sample(index)) if count is None else count
    choice = choose(product, count)
    chunk = product.problem.options.chunk_size
    known = count if isinstance(count, int) else None
    if not isinstance(chunk, int) or (known is not None and chunk >= known):
        results, choice = _sweep(product, index, tf.range(count) if known is None else range(known), choice)
        chunk = None
    else:
        chunk_size = chunk if known else tf.minimum(chunk, count)
        results, choice = _in_chunks(product, index, count, chunk_size, choice)
    return results, (choice.strategy, known, chunk, partial(_bytes_a_seed, product.pull.count_bytes), choice.reason)


def choose(product: SeededProduct, passes: Any) -> Choice:
    """The strategy for a sweep.

    "auto" reads it from the graph: seeds are vectorized, but where the way leads through a loop
    (a recurrent layer), which can't be vectorized for XLA or twice, the batch is repeated, or few passes
    come one after another.

    Raises:
        GradientError: "tile" without a batch axis.
    """
    problem, wanted = product.problem, product.problem.options.strategy
    if wanted == "tile" and not problem.batched:
        raise GradientError(
            "there is no batch to repeat",
            subject=problem.name,
            expected='strategy="vectorize" or "loop"',
            got='strategy="tile"',
            hint="batched=True, if the first axis counts samples",
        )
    if wanted != "auto":
        return Choice(wanted, "as asked for")
    if problem.inlined and isinstance(passes, int) and passes <= _FEW:
        return Choice("loop", "few passes in a graph of somebody's own are written out")
    if product.pull.loops:
        few = isinstance(passes, int) and passes <= _FEW_THROUGH_LOOPS
        return Choice("loop" if few else _instead(product), "a loop on the way can't be vectorized everywhere")
    return Choice("vectorize", "every op on the way can be vectorized")


def _sweep(product: SeededProduct, index: int, ids: Any, choice: Choice) -> tuple[Tensors, Choice]:
    """The results for the unit seeds ``ids`` of one tensor, each ``[len(ids), *result]``, and how they came."""
    if choice.strategy == "tile":
        return _tile(product, index, ids), choice
    if choice.strategy == "loop":
        return _loop(product, index, ids), choice
    one = partial(product.along, index)
    try:
        return vectorized_map(one, product.units(index, ids)), choice
    except (ValueError, TypeError, NotImplementedError, AssertionError) as error:
        # AssertionError from the gradient of a reloaded tf.custom_gradient.
        if product.problem.options.strategy == "vectorize":
            others = 'strategy="tile" or "loop", or "auto", which takes one of them where it has to'
            raise not_vectorized(product.problem.name, error, others) from error
        return _sweep(
            product, index, ids, Choice(_instead(product), f"an op on the way can't be vectorized{which(error)}")
        )


def not_vectorized(name: str, error: Exception, hint: str) -> GradientError:
    """The error where vectorizing was asked for, and TensorFlow can't."""
    got = str(error).strip().split("\n", 1)[0][:300]
    return GradientError("an op on the way can't be vectorized", subject=name, got=got, hint=hint)


def _instead(product: SeededProduct) -> Strategy:
    """What to do where seeds can't be vectorized: repeat the batch, of a function that takes any batch."""
    return "tile" if product.problem.repeatable else "loop"


def _tile(product: SeededProduct, index: int, ids: Any) -> Tensors:
    count = len(ids) if isinstance(ids, range) else tf.size(ids)
    batch = dims(product.seeded[index])[0]
    sample = product.sample(index)
    seeds = tf.broadcast_to(product.units(index, ids), [count, batch, *sample])
    try:
        results = product.repeated(count).along(index, tf.reshape(seeds, [count * batch, *sample]))
    except (ValueError, TypeError, tf.errors.OpError) as error:  # it went through once, for the batch itself
        raise GradientError(
            "the function takes no batch but its own, which can't be repeated",
            subject=product.problem.name,
            expected="a function of any batch size",
            got=str(error).strip().split("\n", 1)[0][:300],
            hint='strategy="vectorize" or "loop"',
        ) from error
    return [tf.reshape(result, [count, batch, *dims(result)[1:]]) for result in results]


def _loop(product: SeededProduct, index: int, ids: Any) -> Tensors:
    seeds = product.units(index, ids)
    if not isinstance(ids, range) or len(ids) > _most_written_out(product):
        signature = [tf.TensorSpec(like.shape, like.dtype) for like in product.likes]
        return tf.map_fn(partial(product.along, index), seeds, fn_output_signature=signature)
    # Written out: a tf.while_loop around a gradient could itself not be compiled or vectorized.
    rows = [product.along(index, seeds[row]) for row in range(len(ids))]
    return [tf.stack(column) for column in zip(*rows, strict=True)]


def _most_written_out(product: SeededProduct) -> int:
    """XLA compiles no second derivative of a loop inside a loop, and the owner of a graph may ask it for one."""
    problem = product.problem
    compiled_twice = problem.inlined or (problem.twice and problem.options.jit_compile is True)
    return _FEW_THROUGH_LOOPS if product.pull.loops and not compiled_twice else _MANY


def _in_chunks(product: SeededProduct, index: int, count: Any, size: Any, choice: Choice) -> tuple[Tensors, Choice]:
    """A loop of the graph, one chunk at a time, each written to its place in the results.

    To its place, since a list of chunks, joined at the end, would need the memory of the results twice.
    The last chunk begins earlier, so that it is whole.
    """
    likes = product.likes

    def body(first: tf.Tensor, *results: tf.Tensor) -> Any:
        nonlocal choice  # what was done in the end
        ids = tf.minimum(first, count - size) + tf.range(size)
        part, choice = _sweep(product, index, ids, choice)
        written = [tf.tensor_scatter_nd_update(r, ids[:, None], p) for r, p in zip(results, part, strict=True)]
        return first + size, *written

    empty = [tf.zeros([count, *dims(like)], like.dtype) for like in likes]
    shapes = [tf.TensorShape([None if not isinstance(count, int) else count, *like.shape]) for like in likes]
    _, *results = tf.while_loop(
        lambda first, *_: first < count,
        body,
        (tf.constant(0), *empty),
        shape_invariants=(tf.TensorShape([]), *shapes),
        parallel_iterations=1,
        maximum_iterations=-(-count // size) if isinstance(count, int) and isinstance(size, int) else None,
    )
    return results, choice


def _bytes_a_seed(count_bytes: Callable[[], int]) -> int:
    """A pass keeps the results of the function, and about as much again of its derivative."""
    return 2 * count_bytes()
