"""Gradients of products, of cumulative ones, of cumulative sums of exponentials, and of norms.

They are linear in what comes from above.

TensorFlow's own divide by the elements of a product, by the gradient from above, or take its logarithm. Here a
gradient along an axis is a recurrence S_j = u_j + a_j S_{j+1}, which is composed of itself in about log₂ n steps
(Blelloch, "Prefix sums and their applications", 1990, sec. 1.4): there is no division, so that zeros do no harm in any
order of derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.fold import small_constant
from ..registry import SHIPPED, attributes, take_over

# Steps for an axis of unknown length: enough for every one.
_MOST_STEPS = 31


@take_over("Cumprod")
def _cumulative_product(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """ū_j = Π_{k<j} x_k · S_j, S_j = Σ_{i≥j} u_i Π_{j<k≤i} x_k."""
    x, axis = op.inputs
    exclusive, reverse = attributes(op, "exclusive", "reverse").values()
    factors, u = along_middle(tf.math.conj(x), axis), along_middle(upstream, axis)
    before = tf.math.cumprod(factors, 1, exclusive=True, reverse=reverse)
    u = moved(u, 1, back=reverse) if exclusive else u
    gradient = before * recurrence(u, moved(factors, 1, back=reverse), back=reverse)
    return tf.reshape(gradient, tf.shape(x)), None


@take_over("Prod")
def _reduced_product(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """The product of the others: of those before, times those after.

    As TensorFlow's, which loses the shape on the way: second derivatives then took 31 steps in place of log₂ n.
    """
    x, axes = op.inputs
    constant, rank = small_constant(axes), x.shape.rank
    if constant is None or rank is None:
        return SHIPPED["Prod"].replaces(op, upstream)
    reduced = sorted({int(axis) % rank for axis in np.reshape(constant, [-1])} if rank else ())
    order = [*reduced, *(axis for axis in range(rank) if axis not in reduced)]
    factors = tf.transpose(tf.math.conj(x), order)
    rows = tf.reshape(factors, [_count(factors, range(len(reduced))), _count(factors, range(len(reduced), rank))])
    others = tf.math.cumprod(rows, 0, exclusive=True) * tf.math.cumprod(rows, 0, exclusive=True, reverse=True)
    others = tf.transpose(tf.reshape(others, _sizes(factors)), np.argsort(order))
    kept = [1 if axis in reduced else _count(x, [axis]) for axis in range(rank)]
    return tf.reshape(upstream, kept) * others, None


def _sizes(x: tf.Tensor) -> Any:
    return x.shape if x.shape.is_fully_defined() else tf.shape(x)


@take_over("CumulativeLogsumexp")
def _cumulative_logsumexp(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """Σ_{i≥j} u_i exp(x_j − y_i) = exp(x_j − y_j) T_j, T_j = u_j + exp(y_j − y_{j+1}) T_{j+1}: exponents are ≤ 0."""
    given, axis = op.inputs
    exclusive, reverse = attributes(op, "exclusive", "reverse").values()
    lowest = tf.constant(given.dtype.min, given.dtype)
    x, u = along_middle(given, axis), along_middle(upstream, axis)
    y = tf.math.cumulative_logsumexp(x, 1, reverse=reverse)
    x, y = tf.maximum(x, lowest), tf.maximum(y, lowest)  # -inf less -inf is not a number
    u = moved(u, 1, back=reverse) if exclusive else u
    steps = tf.exp(y[:, 1:] - y[:, :-1]) if reverse else tf.exp(y[:, :-1] - y[:, 1:])
    factors = tf.pad(steps, [[0, 0], [1, 0] if reverse else [0, 1], [0, 0]])
    return tf.reshape(tf.exp(x - y) * recurrence(u, factors, back=reverse), tf.shape(given)), None


@take_over("EuclideanNorm")
def _euclidean_norm(op: Any, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """x/‖x‖ times u, of which the real part counts, as a norm is real. At 0 there is none: NaN."""
    x, axes = op.inputs
    norm = op.outputs[0]
    if not op.get_attr("keep_dims"):
        axes = tf.reshape(tf.cast(axes, tf.int32), [-1, 1]) % tf.rank(x)
        kept = tf.tensor_scatter_nd_update(tf.shape(x), axes, tf.ones_like(axes[:, 0]))
        norm, upstream = tf.reshape(norm, kept), tf.reshape(upstream, kept)
    if x.dtype.is_complex:
        upstream = tf.cast(tf.math.real(upstream), x.dtype)
    return x / norm * upstream, None


def along_middle(x: tf.Tensor, axis: tf.Tensor) -> tf.Tensor:
    """``x`` as three axes, the middle one ``axis``."""
    constant, rank = small_constant(axis), x.shape.rank
    if constant is None or rank is None:
        shape, axis = tf.shape(x), tf.cast(axis, tf.int32) % tf.rank(x)
        return tf.reshape(x, [tf.reduce_prod(shape[:axis]), shape[axis], tf.reduce_prod(shape[axis + 1 :])])
    place = int(constant) % rank
    sizes = [_count(x, range(place)), _count(x, [place]), _count(x, range(place + 1, rank))]
    return tf.reshape(x, sizes)


def _count(x: tf.Tensor, axes: Any) -> Any:
    """The number of elements along some axes, a number where their lengths are known."""
    count: Any = 1
    for axis in axes:
        length = x.shape[axis]
        count *= tf.shape(x)[axis] if length is None else length
    return count


def recurrence(u: tf.Tensor, factors: tf.Tensor, *, back: bool = False) -> tf.Tensor:
    """S_j = u_j + a_j S_{j+1} along the second of three axes; with ``back``, S_{j−1} in place of S_{j+1}.

    The last of the factors has no meaning.
    """
    for shift in shifts(u.shape[1]):
        u += factors * moved(u, shift, back=back)
        factors *= moved(factors, shift, back=back)
    return u


def shifts(length: int | None) -> list[int]:
    """1, 2, 4, … below ``length``."""
    return [2**n for n in range(_MOST_STEPS if length is None else max(length - 1, 0).bit_length())]


def moved(x: tf.Tensor, by: int, *, back: bool = False) -> tf.Tensor:
    """x_{j+by} at place j of the second of three axes, or x_{j−by} with ``back``; zeros where there is none."""
    length = x.shape[1]
    count = min(by, length) if length is not None else tf.minimum(by, tf.shape(x)[1])
    kept = x[:, : tf.shape(x)[1] - count if length is None else length - count] if back else x[:, count:]
    filled = tf.pad(kept, [[0, 0], [count, 0] if back else [0, count], [0, 0]])
    return tf.ensure_shape(filled, x.shape)
