"""Passes for all unit seeds of a tensor: at once, over a repeated batch, or one after another, whole or in chunks.

Results have the seeds as a new first axis. How it is done changes the cost, never a value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..errors import GradientError
from .choices import Strategy
from .linear import Linear
from .primitives import Tensors
from .shapes import dims, size

# Inside a graph that its owner may compile, so few seeds are written out one by one: the weight
# gradient of TensorFlow's vectorized loop makes XLA compile again whenever a weight changes.
_FEW = 16
# Through a loop, so few passes cost less than the loop once more over a repeated batch: measured for an LSTM,
# two thirds at 1024 samples, and the same at 32.
_FEW_THROUGH_LOOPS = 4
# From this many on, a loop is one of the graph rather than written out.
_MANY = 32

Sweep = Callable[[Linear, int, Any], Tensors]


@dataclass(frozen=True)
class Choice:
    """A strategy, and why."""

    strategy: Strategy
    reason: str


def choose(linear: Linear, passes: Any) -> Choice:
    """The strategy for a sweep.

    "auto" reads it from the graph: seeds are vectorized, but where the way leads through a loop
    (a recurrent layer), which can't be vectorized for XLA or twice, the batch is repeated, or few passes
    come one after another.

    Raises:
        GradientError: "tile" without a batch axis.
    """
    point, wanted = linear.point, linear.point.options.strategy
    if wanted == "tile" and not point.batched:
        raise GradientError(
            "there is no batch to repeat",
            subject=point.name,
            expected='strategy="vectorize" or "loop"',
            got='strategy="tile"',
            hint="batched=True, if the first axis counts samples",
        )
    if wanted != "auto":
        return Choice(wanted, "as asked for")
    if point.inlined and isinstance(passes, int) and passes <= _FEW:
        return Choice("loop", "few passes in a graph of somebody's own are written out")
    if linear.pull.loops:
        few = isinstance(passes, int) and passes <= _FEW_THROUGH_LOOPS
        return Choice("loop" if few else _instead(linear), "a loop on the way can't be vectorized everywhere")
    return Choice("vectorize", "every op on the way can be vectorized")


def sweep(linear: Linear, index: int, ids: Any, choice: Choice) -> tuple[Tensors, Choice]:
    """The results for the unit seeds ``ids`` of one tensor, each ``[len(ids), *result]``, and how they came."""
    if choice.strategy != "vectorize":
        return {"tile": _tile, "loop": _loop}[choice.strategy](linear, index, ids), choice
    try:
        return _vectorize(linear, index, ids), choice
    except (ValueError, TypeError, NotImplementedError, AssertionError) as error:
        # AssertionError from the gradient of a reloaded tf.custom_gradient.
        if linear.point.options.strategy == "vectorize":
            others = 'strategy="tile" or "loop", or "auto", which takes one of them where it has to'
            raise not_vectorized(linear.point.name, error, others) from error
        return sweep(linear, index, ids, Choice(_instead(linear), "an op on the way can't be vectorized"))


def not_vectorized(name: str, error: Exception, hint: str) -> GradientError:
    """The error where vectorizing was asked for, and TensorFlow can't."""
    got = str(error).strip().split("\n", 1)[0][:300]
    return GradientError("an op on the way can't be vectorized", subject=name, got=got, hint=hint)


def _instead(linear: Linear) -> Strategy:
    """What to do where seeds can't be vectorized: repeat the batch, of a function that takes any batch."""
    return "tile" if linear.point.batched and linear.point.repeatable else "loop"


def _vectorize(linear: Linear, index: int, ids: Any) -> Tensors:
    def one(seed: tf.Tensor) -> Tensors:
        return linear.along(index, linear.filled(index, seed))

    return tf.vectorized_map(one, linear.units(index, ids), fallback_to_while_loop=False)


def _tile(linear: Linear, index: int, ids: Any) -> Tensors:
    count = len(ids) if isinstance(ids, range) else tf.size(ids)
    batch = dims(linear.seeded[index])[0]
    sample = linear.sample(index)
    seeds = tf.broadcast_to(linear.units(index, ids), [count, batch, *sample])
    results = linear.repeated(count).along(index, tf.reshape(seeds, [count * batch, *sample]))
    return [tf.reshape(result, [count, batch, *dims(result)[1:]]) for result in results]


def _loop(linear: Linear, index: int, ids: Any) -> Tensors:
    seeds = linear.units(index, ids)
    if not isinstance(ids, range) or len(ids) > _MANY:
        signature = [tf.TensorSpec(like.shape, like.dtype) for like in linear.likes]
        return tf.map_fn(
            lambda seed: linear.along(index, linear.filled(index, seed)), seeds, fn_output_signature=signature
        )
    # Written out: a tf.while_loop around a gradient could itself not be compiled or vectorized.
    rows = [linear.along(index, linear.filled(index, seeds[row])) for row in range(len(ids))]
    return [tf.stack(column) for column in zip(*rows, strict=True)]


def passes(linear: Linear, index: int) -> Any:
    """How many seeds a tensor has."""
    return size(linear.sample(index))
