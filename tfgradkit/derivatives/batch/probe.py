"""A probe of a few samples: does one's result have a gradient by another?

The same test, with one random seed, is what "check that vmap is legitimate" amounts to: the off-diagonal
blocks of the full Jacobian, multiplied by a random vector, vanish only if they are zero (with probability one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from ...differentiable import Differentiable
from ...graph.ops import assigns
from ...graph.trace import flat_function
from ..options import Options
from ..problem import batch_axis, is_batched, select
from ..pullback import pullback

_TRIALS = 3
# Two samples would not show what comes back to its place after two; but some functions take no more. An odd number,
# so that it is rarely the size of another axis.
_SAMPLES, _FEWER = 5, 2
# A function may be made for the batch that it is called with, and so is tried with as many samples, up to this number.
_MOST = 16
# Roundings of a matrix product may differ with the batch, but they are no gradient.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found, and in words."""

    status: Literal["independent", "coupled", "reduced", "unknown"]
    text: str


def probe(source: Differentiable, options: Options, sample_arguments: Any) -> ProbeResult:
    """Runs the function on a few samples: the first of ``sample_arguments``, disturbed, or random ones.

    Args:
        source: the function.
        options: what is differentiated by what.
        sample_arguments: its arguments, tensors of any graph or eager ones, ``[B] + x``.
    """
    found = _probe_or_unknown(source, options, sample_arguments, _SAMPLES)
    own = batch_axis(options, sample_arguments).as_list()[0]
    if found.status in ("reduced", "unknown") and own is not None and 1 < own <= _MOST:
        found = _probe_or_unknown(source, options, sample_arguments, own)
    return _probe_or_unknown(source, options, sample_arguments, _FEWER) if found.status == "unknown" else found


def _probe_or_unknown(source: Differentiable, options: Options, sample_arguments: Any, count: int) -> ProbeResult:
    try:
        return _probe(source, options, sample_arguments, count)
    except Exception as error:  # whatever the user's function does with so many samples
        return ProbeResult("unknown", f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")


def _probe(source: Differentiable, options: Options, sample_arguments: Any, count: int) -> ProbeResult:
    flat, tensors = flat_function(lambda given: _gradients(source, options, given, count), sample_arguments)
    batch = batch_axis(options, sample_arguments)
    makers = [partial(_values, x, is_batched(x, batch), count) for x in tensors]
    specs = [tf.TensorSpec(_shape(x, is_batched(x, batch), count), x.dtype) for x in tensors]
    # Traced out here: inside init_scope no tape records.
    function = tf.function(flat, autograph=False).get_concrete_function(*specs)
    with tf.init_scope():
        return _found_in_numbers(function, makers, count)


def _found_in_numbers(function: Any, makers: Sequence[Callable[..., tf.Tensor]], count: int) -> ProbeResult:
    restore = _snapshot(function.graph)
    found = ProbeResult("unknown", "no gradient was found that is finite and not zero")
    for trial in range(_TRIALS):
        generator = np.random.default_rng(trial)
        own, other, rows = (float(n) for n in function(*[make(generator, trial) for make in makers]))
        restore()
        if rows != count:
            return ProbeResult("reduced", "a result's first axis does not count the samples")
        if np.isfinite(own + other) and own + other > 0:
            if other > _TOLERANCE * max(own, other):
                return ProbeResult("coupled", f"{other / max(own, other):.0%} of a gradient is by another sample")
            found = ProbeResult("independent", "no gradient by another sample")
    return found


def _gradients(source: Differentiable, options: Options, arguments: Any, count: int) -> Any:
    """How large the gradients by the own and by other samples are, and the batch size of the results."""
    selection = select(source, options, arguments)
    pull = pullback(selection.call, selection.xs, linear=False)
    sizes = [tf.shape(y)[0] if y.shape.rank else tf.constant(0) for y in pull.ys]
    rows = tf.cast(tf.reduce_max([tf.abs(size - count) for size in sizes]) + count, tf.float64)
    own, other = [tf.constant(0.0, tf.float64)], [tf.constant(0.0, tf.float64)]
    if all(y.shape.rank and y.shape[0] in (None, count) for y in pull.ys):
        for sample in range(count):
            seeds = [_random(y, sample, count) for y in pull.ys]
            for gradient in pull.product(seeds):
                if gradient is not None:
                    own.append(_largest(gradient[sample : sample + 1]))
                    other.append(_largest(tf.concat([gradient[:sample], gradient[sample + 1 :]], 0)))
    # Sums, since a maximum leaves NaN out.
    return [tf.add_n(own), tf.add_n(other), rows]


def _random(y: tf.Tensor, sample: int, count: int) -> tf.Tensor:
    """Random gradients of the results of one sample, zero for the others."""
    noise = tf.random.stateless_normal(tf.shape(y), seed=[1, sample], dtype=tf.float64)
    here = tf.reshape(tf.one_hot(sample, count, dtype=tf.float64), [count, *[1] * (y.shape.rank - 1)])
    return tf.cast(noise * here, y.dtype)


def _largest(gradient: tf.Tensor) -> tf.Tensor:
    magnitudes = tf.cast(tf.abs(gradient), tf.float64)
    return tf.where(
        tf.reduce_all(tf.math.is_finite(magnitudes)),
        tf.reduce_max(tf.concat([tf.reshape(magnitudes, [-1]), tf.zeros([1], tf.float64)], 0)),
        tf.constant(np.nan, tf.float64),
    )


def _shape(leaf: tf.Tensor, batched: bool, count: int) -> list[int]:
    """The shape for a probe: ``count`` samples, where the first axis counts samples, and 1 for what isn't known."""
    sizes = [n or 1 for n in leaf.shape.as_list()]
    return [count, *sizes[1:]] if batched else sizes


def _values(leaf: tf.Tensor, batched: bool, count: int, generator: np.random.Generator, trial: int) -> tf.Tensor:
    """Values for an argument: ``count`` samples of it, where its first axis counts samples."""
    if isinstance(leaf, _EAGER) and not batched:
        return leaf
    known = leaf[:1].numpy() if isinstance(leaf, _EAGER) else None
    shape = _shape(leaf, batched, count)
    if not (leaf.dtype.is_floating or leaf.dtype.is_complex):
        return tf.constant(np.resize(known[:1] if known is not None and known.size else 0, shape), leaf.dtype)
    noise = generator.standard_normal(shape)
    if known is None or not known.size or trial == _TRIALS - 1:
        return tf.cast(noise, leaf.dtype)
    start = known[:1].astype(np.complex128 if leaf.dtype.is_complex else np.float64)
    return tf.cast(start + 0.1 * noise * (np.abs(start) + 0.1), leaf.dtype)


_EAGER = type(tf.constant(0.0))


def _snapshot(graph: Any) -> Callable[[], None]:
    """Puts the variables of a graph that assigns any back to what they are now: a probe leaves no trace."""
    kept = (
        [(variable, variable.read_value()) for variable in graph.variables] if assigns(graph.get_operations()) else []
    )

    def restore() -> None:
        for variable, value in kept:
            variable.assign(value)

    return restore
