"""Attributions that are gradients at the input, means of gradients, or integrals of them along a line."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from ..custom.override.override_gradient import override_gradient
from ..errors import SignatureError
from .method import Method, Scores

Rule = Literal["gausslegendre", "trapezoid"]


def saliency(fn: Any, *, absolute: bool = True, of: str | None = None) -> Method:
    """``|∂y/∂x|``, how strongly each input moves the explained element; with its sign where not ``absolute``.

    Args:
        fn: a Keras model, or any batched function of one argument.
        absolute: whether magnitudes are returned; else slopes with their signs.
        of: "layer:NAME" explains the result of a layer in place of the model's.

    Returns:
        A :class:`~tfgradkit.types.Method`: ``method(x, target=None)`` returns an
        :class:`~tfgradkit.types.Attribution`, ``.values`` shaped like x, ``[B] + sample``.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``.

    References:
        K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks", 2013, arXiv 1312.6034.

    Example:
        >>> found = tgk.attribution.saliency(lambda x: x * x)(np.array([[1.0, 3.0]]))
        >>> found.values.numpy().tolist()
        [[0.0, 6.0]]
    """

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        _, gradients = scores.value_and_gradient(x, target)
        return tf.nest.map_structure(tf.abs, gradients) if absolute else gradients, None

    return Method("saliency", Scores(fn, of), rule)


def gradient_times_input(fn: Any, *, of: str | None = None) -> Method:
    """x · ∂y/∂x: exact shares of a linear function without a constant.

    Args:
        fn: a Keras model, or any batched function of one argument.
        of: "layer:NAME" explains the result of a layer in place of the model's.

    Returns:
        A :class:`~tfgradkit.types.Method`: ``method(x, target=None)`` returns an
        :class:`~tfgradkit.types.Attribution`, ``.values`` shaped like x, ``[B] + sample``.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``.

    References:
        A. Shrikumar et al., "Not just a black box", 2016, arXiv 1605.01713.

    Example:
        >>> found = tgk.attribution.gradient_times_input(lambda x: x * x)(np.array([[1.0, 3.0]]))
        >>> found.values.numpy().tolist()
        [[0.0, 18.0]]
    """

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        _, gradients = scores.value_and_gradient(x, target)
        return tf.nest.map_structure(tf.multiply, x, gradients), None

    return Method("gradient_times_input", Scores(fn, of), rule)


def smooth_grad(
    fn: Any, *, samples: int = 50, noise: float = 0.15, seed: int = 0, absolute: bool = False, of: str | None = None
) -> Method:
    """The mean gradient over noisy copies of the input; the same at each call.

    Args:
        fn: a Keras model, or any batched function of one argument.
        samples: how many copies; one batch is in memory at a time.
        noise: standard deviation, as a share of the range of each sample.
        seed: of the noise.
        absolute: whether magnitudes are averaged.
        of: "layer:NAME" explains the result of a layer in place of the model's.

    Returns:
        A :class:`~tfgradkit.types.Method`: ``method(x, target=None)`` returns an
        :class:`~tfgradkit.types.Attribution`, ``.values`` shaped like x, ``[B] + sample``.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``, or ``samples`` or ``noise`` is out of range.

    References:
        D. Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, arXiv 1706.03825.

    Example:
        >>> found = tgk.attribution.smooth_grad(lambda x: x * x, noise=0.0)(np.array([[1.0, 3.0]]))
        >>> found.values.numpy().tolist()
        [[0.0, 6.0]]
    """
    if samples < 1 or noise < 0:
        raise SignatureError(
            "SmoothGrad needs copies and noise", expected="samples ≥ 1, noise ≥ 0", got=f"{samples}, {noise}"
        )

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        def body(number: tf.Tensor, *sums: tf.Tensor) -> Any:
            _, gradients = scores.value_and_gradient(_noisy(x, noise, seed, number), target)
            parts = [tf.abs(s) if absolute else s for s in tf.nest.flatten(gradients)]
            return number + 1, *(a + b for a, b in zip(sums, parts, strict=True))

        zeros = [tf.zeros_like(leaf) for leaf in tf.nest.flatten(x)]
        _, *sums = tf.while_loop(lambda number, *_: number < samples, body, (0, *zeros), parallel_iterations=1)
        return tf.nest.pack_sequence_as(x, [s / samples for s in sums]), None

    return Method("smooth_grad", Scores(fn, of), rule)


def _noisy(x: Any, noise: float, seed: int, number: tf.Tensor) -> Any:
    leaves = tf.nest.flatten(x)
    return tf.nest.pack_sequence_as(x, [_with_noise(leaf, noise, [seed + i, number]) for i, leaf in enumerate(leaves)])


def _with_noise(x: tf.Tensor, noise: float, seed: Any) -> tf.Tensor:
    axes = list(range(1, x.shape.rank))
    width = tf.reduce_max(x, axes, keepdims=True) - tf.reduce_min(x, axes, keepdims=True)
    return x + noise * width * tf.random.stateless_normal(tf.shape(x), seed, dtype=x.dtype)


def guided_backpropagation(fn: Any, *, of: str | None = None) -> Method:
    """∂y/∂x, where every ReLU passes back what is positive alone: sharp pictures, which say little of the class.

    Args:
        fn: a Keras model, or any batched function of one argument.
        of: "layer:NAME" explains the result of a layer in place of the model's.

    Returns:
        A :class:`~tfgradkit.types.Method`: ``method(x, target=None)`` returns an
        :class:`~tfgradkit.types.Attribution`, ``.values`` shaped like x, ``[B] + sample``.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``, or no op ``Relu`` in the graph.

    References:
        J. T. Springenberg et al., "Striving for simplicity: the all convolutional net", 2015, arXiv 1412.6806.

    Example:
        >>> guided = tgk.attribution.guided_backpropagation(lambda x: -tf.nn.relu(x))
        >>> guided(np.array([[1.0, 3.0]]), target=1).values.numpy().tolist()
        [[0.0, 0.0]]
    """

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        return scores.value_and_gradient(x, target)[1], None

    return Method("guided_backpropagation", Scores(override_gradient(fn, {"Relu": _guided}), of), rule)


def _guided(operation: Any, upstream: tf.Tensor) -> tf.Tensor:
    return tf.where((operation.outputs[0] > 0) & (upstream > 0), upstream, tf.zeros_like(upstream))


def integrated_gradients(
    fn: Any, *, baseline: Any = 0.0, steps: int = 50, method: Rule = "gausslegendre", of: str | None = None
) -> Method:
    """(x − b) · ∫ ∂y/∂x along the straight line from the baseline b to x.

    The values of a sample sum to y(x) − y(b), up to the error of the quadrature, which is reported as
    ``completeness_error``: more ``steps`` make it smaller.

    Args:
        fn: a Keras model, or any batched function of one argument.
        baseline: a number, or a nest like x of arrays that broadcast to it.
        steps: points along the line; one batch is in memory at a time.
        method: "gausslegendre", exact for polynomials of degree 2·steps − 1; or "trapezoid".
        of: "layer:NAME" explains the result of a layer in place of the model's.

    Returns:
        A :class:`~tfgradkit.types.Method`: ``method(x, target=None)`` returns an
        :class:`~tfgradkit.types.Attribution`, ``.values`` shaped like x, ``.completeness_error`` ``[B]``.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``, or no such method or number of steps.

    References:
        M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", 2017, arXiv 1703.01365.

    Example:
        >>> found = tgk.attribution.integrated_gradients(lambda x: x * x)(np.array([[1.0, 3.0]]))
        >>> np.round(found.values.numpy(), 6).tolist()
        [[0.0, 9.0]]
    """
    points, weights = _quadrature(method, steps)

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, tf.Tensor]:
        start = _baseline(baseline, x, scores)
        across = tf.nest.map_structure(tf.subtract, x, start)

        def body(number: tf.Tensor, *sums: tf.Tensor) -> Any:
            point = tf.nest.map_structure(
                lambda b, d: b + d * tf.cast(tf.gather(points, number), d.dtype), start, across
            )
            gradients = tf.nest.flatten(scores.value_and_gradient(point, target)[1])
            weight = tf.gather(weights, number)
            return number + 1, *(s + g * tf.cast(weight, g.dtype) for s, g in zip(sums, gradients, strict=True))

        zeros = [tf.zeros_like(leaf) for leaf in tf.nest.flatten(x)]
        _, *means = tf.while_loop(lambda number, *_: number < len(points), body, (0, *zeros), parallel_iterations=1)
        shares = [d * mean for d, mean in zip(tf.nest.flatten(across), means, strict=True)]
        gained = scores.element(x, target) - scores.element(start, target)
        total = tf.add_n([tf.cast(tf.reduce_sum(s, list(range(1, s.shape.rank))), gained.dtype) for s in shares])
        return tf.nest.pack_sequence_as(x, shares), total - gained

    return Method("integrated_gradients", Scores(fn, of), rule)


def _quadrature(method: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The points and weights of a quadrature on [0, 1]."""
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
    leaves = tf.nest.flatten(x)
    starts = [baseline] * len(leaves) if isinstance(baseline, (int, float)) else tf.nest.flatten(baseline)
    if len(starts) != len(leaves):
        raise SignatureError(
            "the baseline has another structure than x",
            subject=scores.source.name,
            expected=f"{len(leaves)} arrays, or one number",
            got=f"{len(starts)} arrays",
        )
    try:
        filled = [
            tf.broadcast_to(tf.cast(b, leaf.dtype), tf.shape(leaf)) for b, leaf in zip(starts, leaves, strict=True)
        ]
    except ValueError as error:
        raise SignatureError(
            "the baseline does not broadcast to x",
            subject=scores.source.name,
            expected=[str(leaf.shape) for leaf in leaves],
            got=[np.shape(b) for b in starts],
        ) from error
    return tf.nest.pack_sequence_as(x, filled)
