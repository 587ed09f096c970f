"""Integrated gradients: shares that sum to the difference from a baseline."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from ..errors import SignatureError
from .method import Method
from .scores import Scores

Rule = Literal["gausslegendre", "trapezoid"]


def integrated_gradients(
    fn: Any, *, baseline: Any = 0.0, steps: int = 50, method: Rule = "gausslegendre", of: str | None = None
) -> Method:
    """(x − b) · ∫ ∂y/∂x along the straight line from the baseline b to x.

    The values of a sample sum to y(x) − y(b), up to the error of the quadrature, which is reported as
    ``completeness_error``: more ``steps`` make it smaller.
    M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", 2017, arXiv 1703.01365.

    Args:
        baseline: a number, or a nest like x of arrays that broadcast to it.
        steps: points along the line; one batch is in memory at a time.
        method: "gausslegendre", exact for polynomials of degree 2·steps − 1; or "trapezoid".

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``, or no such method or number of steps.
    """
    points, weights = _quadrature(method, steps)

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, tf.Tensor]:
        start = _baseline(baseline, x, scores)
        across = tf.nest.map_structure(tf.subtract, x, start)

        def body(number: tf.Tensor, *sums: tf.Tensor) -> Any:
            point = tf.nest.map_structure(
                lambda b, d: b + d * tf.cast(tf.gather(points, number), d.dtype), start, across
            )
            slopes = tf.nest.flatten(scores.value_and_gradient(point, target)[1])
            weight = tf.gather(weights, number)
            return number + 1, *(s + g * tf.cast(weight, g.dtype) for s, g in zip(sums, slopes, strict=True))

        zeros = [tf.zeros_like(leaf) for leaf in tf.nest.flatten(x)]
        _, *means = tf.while_loop(lambda number, *_: number < len(points), body, (0, *zeros), parallel_iterations=1)
        shares = [d * mean for d, mean in zip(tf.nest.flatten(across), means, strict=True)]
        gained = scores.element(x, target) - scores.element(start, target)
        total = tf.add_n([tf.cast(tf.reduce_sum(s, list(range(1, s.shape.rank))), gained.dtype) for s in shares])
        return tf.nest.pack_sequence_as(x, shares), total - gained

    return Method("integrated_gradients", Scores(fn, of), rule)


def _quadrature(method: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights on [0, 1]."""
    if method not in get_args(Rule) or steps < (2 if method == "trapezoid" else 1):
        raise SignatureError(
            "no such quadrature",
            subject="integrated_gradients",
            expected=f"{' | '.join(get_args(Rule))}, steps ≥ 1 (trapezoid: ≥ 2)",
            got=f"{method!r}, {steps} steps",
        )
    if method == "trapezoid":
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2


def _baseline(baseline: Any, x: Any, scores: Scores) -> Any:
    given = [baseline] * len(tf.nest.flatten(x)) if isinstance(baseline, (int, float)) else tf.nest.flatten(baseline)
    leaves = tf.nest.flatten(x)
    if len(given) != len(leaves):
        raise SignatureError(
            "the baseline has another structure than x",
            subject=scores.source.name,
            expected=f"{len(leaves)} arrays, or one number",
            got=f"{len(given)} arrays",
        )
    try:
        filled = [
            tf.broadcast_to(tf.cast(b, leaf.dtype), tf.shape(leaf)) for b, leaf in zip(given, leaves, strict=True)
        ]
    except ValueError as error:
        raise SignatureError(
            "the baseline does not broadcast to x",
            subject=scores.source.name,
            expected=[str(leaf.shape) for leaf in leaves],
            got=[np.shape(b) for b in given],
        ) from error
    return tf.nest.pack_sequence_as(x, filled)
