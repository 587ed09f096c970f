"""A function whose intermediate results are computed again for the gradient: what a checkpoint is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from .pure import Pure, pure


class Checkpointed:
    """``call`` with its intermediate results computed again for the gradient."""

    def __init__(self, call: Callable[..., Any], name: str | None = None) -> None:
        self._call = call
        self.__name__: str = name or getattr(call, "__name__", None) or "function"
        self._function = tf.function(self.inlined, autograph=False, reduce_retracing=True)

    def __call__(self, *arguments: Any) -> Any:
        """The value of ``call``."""
        # Eagerly a tape would keep what a function computes, unless that is a function with a gradient of its own.
        return (self._function if tf.executing_eagerly() else self.inlined)(*arguments)

    def inlined(self, *arguments: Any) -> Any:
        """In the current graph."""
        leaves = tf.nest.flatten(arguments)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, (tf.Tensor, tf.Variable))]
        tensors = [tf.convert_to_tensor(leaves[place]) for place in places]

        def flat(*given: tf.Tensor) -> Any:
            filled = list(leaves)
            for place, tensor in zip(places, given, strict=True):
                filled[place] = tensor
            return self._call(*tf.nest.pack_sequence_as(arguments, filled))

        traced = pure(flat, tensors, self.__name__)
        states = [tf.identity(variable.value) for variable in traced.states]
        results = _recomputed(traced, tensors, states)
        count = len(tf.nest.flatten(traced.structure))
        for variable, value in zip(traced.states, results[count:], strict=True):
            variable.assign(value)
        return tf.nest.pack_sequence_as(traced.structure, results[:count])


def _recomputed(traced: Pure, tensors: Sequence[tf.Tensor], states: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """``traced``, whose gradient evaluates it again. What it closes over are arguments, so that they have gradients."""
    captured = traced.captured
    own = [i for i, tensor in enumerate(captured) if tensor.dtype not in (tf.resource, tf.variant)]
    given = [*tensors, *states, *(captured[i] for i in own)]

    def evaluated(given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        count = len(tensors) + len(states)
        filled = list(captured)
        for i, tensor in zip(own, given[count:], strict=True):
            filled[i] = tensor
        return traced(given[:count], filled)

    @tf.custom_gradient
    def run(*given: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., Any]]:
        return evaluated(given), partial(_gradient, evaluated, given)

    found = run(*given)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _gradient(
    evaluated: Callable[..., list[tf.Tensor]],
    given: Sequence[tf.Tensor],
    *upstream: tf.Tensor,
    variables: Sequence[tf.Variable] | None = None,
) -> Any:
    known = [i for i, x in enumerate(given) if _carries(x)]
    coming = [i for i, u in enumerate(upstream) if u is not None and _carries(u)]
    later = _after([upstream[i] for i in coming])
    again = [_held(x, later) if i in known else x for i, x in enumerate(given)]
    with tf.GradientTape() as tape:
        tape.watch([again[i] for i in known])
        ys = evaluated(again)
    wanted = [[again[i] for i in known], list(variables or [])]
    us = [upstream[i] for i in coming]
    gradients, by_variables = tape.gradient([ys[i] for i in coming], wanted, output_gradients=us)
    found = {i: None if g is None else tf.convert_to_tensor(g) for i, g in zip(known, gradients, strict=True)}
    by_given = [found.get(i) for i in range(len(given))]
    return by_given if variables is None else (by_given, by_variables)


def _after(upstream: Sequence[tf.Tensor]) -> tf.Tensor:
    """Always true, but known to be only once the gradient has come back.

    The second evaluation hangs on it: no compiler can find it equal to the first one and merge them, and no executor
    starts it before. A control dependency would do neither for XLA.
    """
    element = tf.math.real(tf.reduce_sum(tf.reshape(upstream[0], [-1])[:1]))
    return tf.equal(element, element) | tf.math.is_nan(element)


def _held(x: tf.Tensor, later: tf.Tensor) -> tf.Tensor:
    return tf.where(later, x, tf.zeros_like(x))


def _carries(tensor: tf.Tensor) -> bool:
    return tensor.dtype.is_floating or tensor.dtype.is_complex
