"""A probe of a few samples: does one's result have a gradient by another?

The same test, with one random seed, is what "check that vmap is legitimate" amounts to: the off-diagonal
blocks of the full Jacobian, multiplied by a random vector, vanish only if they are zero (with probability one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
# Two samples don't show a roll by two; but some functions take no more than two. The larger number is odd,
# so that it is rarely the size of another axis.
_SAMPLES, _FEWER = 5, 2
# Of a large batch so many samples are looked at, and once.
_MOST = 16
# Roundings of a matrix product may differ with the batch, but they are no gradient.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ProbeResult:
    """The status that a probe found, in words, too; ``own``: samples are independent in the caller's own batch."""

    status: Literal["independent", "coupled", "reduced", "unknown"]
    text: str
    own: bool = False


def probe(source: Differentiable, options: Options, sample_arguments: Any, *, fixed: bool = False) -> ProbeResult:
    """Runs the function in batches of three sizes, of ``sample_arguments``, disturbed, or of random ones.

    The caller's own size, if that is known, and two others. A function may be made for the batch that it is called
    with: where it doesn't run with others, they say nothing.

    Args:
        source: the function.
        options: what is differentiated by what.
        sample_arguments: its arguments, tensors of any graph or eager ones, ``[B] + x``.
        fixed: whether the caller's own size is the only one that matters.
    """
    own = batch_axis(options, sample_arguments).as_list()[0] or None
    sizes = [own] if fixed and own else dict.fromkeys([own or _SAMPLES, _SAMPLES, _FEWER])
    found = [_probe_or_unknown(source, options, sample_arguments, size) for size in sizes]
    named = {result.status: result for result in reversed(found)}
    if "coupled" in named:
        return named["coupled"]
    if "reduced" in named:
        return replace(named["reduced"], own=own is not None and found[0].status == "independent")
    return named.get("independent", found[0])


def _probe_or_unknown(source: Differentiable, options: Options, sample_arguments: Any, count: int) -> ProbeResult:
    try:
        return _probe(source, options, sample_arguments, count)
    except Exception as error:  # whatever the user's function does with so many samples
        return ProbeResult("unknown", f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")


def _probe(source: Differentiable, options: Options, sample_arguments: Any, count: int) -> ProbeResult:
    batch = batch_axis(options, sample_arguments)
    tensors = flat_function(list, sample_arguments)[1]
    makers = [partial(_values, x, is_batched(x, batch), count) for x in tensors]

    def products(sample: tf.Tensor, *given: tf.Tensor) -> Any:
        flat, _ = flat_function(lambda nest: _gradients(source, options, nest, sample, count), sample_arguments)
        return flat(*given)

    specs = [tf.TensorSpec(_shape(x, is_batched(x, batch), count), x.dtype) for x in tensors]
    # Traced out here: inside init_scope no tape records.
    function = tf.function(products, autograph=False).get_concrete_function(tf.TensorSpec([], tf.int32), *specs)
    with tf.init_scope():
        return _found_in_numbers(function, makers, count)


def _found_in_numbers(function: Any, makers: Sequence[Callable[..., tf.Tensor]], count: int) -> ProbeResult:
    restore = _snapshot(function.graph)
    found = ProbeResult("unknown", "no gradient was found that is finite and not zero")
    few = sorted({0, 1, count // 2, count - 2, count - 1})
    samples, trials = (range(count), range(_TRIALS)) if count <= _MOST else (few, range(1))
    for trial in trials:
        generator = np.random.default_rng(trial)
        values = [make(generator, trial) for make in makers]
        own = other = 0.0
        for sample in samples:
            here, elsewhere, rows = (float(n) for n in function(tf.constant(sample), *values))
            restore()
            if rows != count:
                return ProbeResult("reduced", f"of {count} samples the first axis of a result counts {rows:g}")
            own, other = own + here, other + elsewhere  # sums, since a maximum leaves NaN out
        if np.isfinite(own + other) and own + other > 0:
            if other > _TOLERANCE * max(own, other):
                return ProbeResult("coupled", f"{other / max(own, other):.0%} of a gradient is by another sample")
            found = ProbeResult("independent", "no gradient by another sample")
    return found


def _gradients(source: Differentiable, options: Options, arguments: Any, sample: tf.Tensor, count: int) -> Any:
    """How large the gradients by the own and by other samples are, and the batch size of the results."""
    selection = select(source, options, arguments)
    pull = pullback(selection.call, selection.xs, linear=False)
    sizes = [tf.shape(y)[0] if y.shape.rank else tf.constant(0) for y in pull.ys]
    # The batch size that differs most.
    rows = tf.gather(sizes, tf.argmax(tf.abs(tf.stack(sizes) - count)))
    own, other = [tf.constant(0.0, tf.float64)], [tf.constant(0.0, tf.float64)]
    if all(y.shape.rank and y.shape[0] in (None, count) for y in pull.ys):
        for gradient in pull.product([_random(y, sample) for y in pull.ys]):
            if gradient is not None:
                here = _marked(tf.shape(gradient)[0], sample, gradient)
                own.append(_largest(gradient * here))
                other.append(_largest(gradient * (1 - here)))
    return [tf.add_n(own), tf.add_n(other), tf.cast(rows, tf.float64)]


def _marked(rows: tf.Tensor, sample: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """1 at a sample, 0 at the others, to be multiplied with a tensor like ``like``."""
    mark = tf.one_hot(sample, rows, dtype=like.dtype.real_dtype)
    return tf.cast(tf.reshape(mark, tf.concat([[rows], tf.ones([tf.rank(like) - 1], tf.int32)], 0)), like.dtype)


def _random(y: tf.Tensor, sample: tf.Tensor) -> tf.Tensor:
    """Random gradients of the results of one sample, zero for the others."""
    noise = tf.random.stateless_normal(tf.shape(y), seed=tf.stack([1, sample]), dtype=tf.float64)
    return tf.cast(noise, y.dtype) * _marked(tf.shape(y)[0], sample, y)


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
    known = leaf[:count].numpy() if isinstance(leaf, _EAGER) else None
    shape = _shape(leaf, batched, count)
    if not (leaf.dtype.is_floating or leaf.dtype.is_complex):
        return tf.constant(np.resize(known if known is not None and known.size else 0, shape), leaf.dtype)
    noise = generator.standard_normal(shape)
    if known is None or not known.size or trial == _TRIALS - 1:
        return tf.cast(noise, leaf.dtype)
    start = np.resize(known, shape).astype(np.complex128 if leaf.dtype.is_complex else np.float64)
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
