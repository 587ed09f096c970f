"""Attributions that are gradients at the input, or means of them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..custom.override import override_gradient
from ..errors import SignatureError
from .method import Method
from .scores import Scores


def saliency(fn: Any, *, absolute: bool = True, of: str | None = None) -> Method:
    """|∂y/∂x|, how strongly each input moves the explained element; with its sign where not ``absolute``.

    K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks", 2013, arXiv 1312.6034.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``.
    """

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        _, slopes = scores.value_and_gradient(x, target)
        return tf.nest.map_structure(tf.abs, slopes) if absolute else slopes, None

    return Method("saliency", Scores(fn, of), rule)


def gradient_times_input(fn: Any, *, of: str | None = None) -> Method:
    """x · ∂y/∂x: exact shares of a linear function without a constant.

    A. Shrikumar et al., "Not just a black box", 2016, arXiv 1605.01713.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``.
    """

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        _, slopes = scores.value_and_gradient(x, target)
        return tf.nest.map_structure(tf.multiply, x, slopes), None

    return Method("gradient_times_input", Scores(fn, of), rule)


def smooth_grad(
    fn: Any, *, samples: int = 50, noise: float = 0.15, seed: int = 0, absolute: bool = False, of: str | None = None
) -> Method:
    """The mean gradient over noisy copies of the input; the same at each call.

    D. Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, arXiv 1706.03825.

    Args:
        samples: how many copies; one batch is in memory at a time.
        noise: standard deviation, as a share of the range of each sample.
        seed: of the noise.
        absolute: whether magnitudes are averaged.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``, or ``samples`` or ``noise`` is out of range.
    """
    if samples < 1 or noise < 0:
        raise SignatureError(
            "SmoothGrad needs copies and noise", expected="samples ≥ 1, noise ≥ 0", got=f"{samples}, {noise}"
        )

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        def body(number: tf.Tensor, *sums: tf.Tensor) -> Any:
            _, slopes = scores.value_and_gradient(_noisy(x, noise, seed, number), target)
            parts = [tf.abs(s) if absolute else s for s in tf.nest.flatten(slopes)]
            return number + 1, *(a + b for a, b in zip(sums, parts, strict=True))

        zeros = [tf.zeros_like(leaf) for leaf in tf.nest.flatten(x)]
        _, *sums = tf.while_loop(lambda number, *_: number < samples, body, (0, *zeros), parallel_iterations=1)
        return tf.nest.pack_sequence_as(x, [s / samples for s in sums]), None

    return Method("smooth_grad", Scores(fn, of), rule)


def guided_backpropagation(fn: Any, *, of: str | None = None) -> Method:
    """∂y/∂x, where every ReLU passes back what is positive alone: sharp pictures, which say little of the class.

    J. T. Springenberg et al., "Striving for simplicity: the all convolutional net", 2015, arXiv 1412.6806.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no layer ``of``, or no op ``Relu`` in the graph.
    """

    def rule(scores: Scores, x: Any, target: tf.Tensor) -> tuple[Any, None]:
        return scores.value_and_gradient(x, target)[1], None

    return Method("guided_backpropagation", Scores(override_gradient(fn, {"Relu": _guided}), of), rule)


def _guided(operation: Any, upstream: tf.Tensor) -> tf.Tensor:
    return tf.where((operation.outputs[0] > 0) & (upstream > 0), upstream, tf.zeros_like(upstream))


def _noisy(x: Any, noise: float, seed: int, number: tf.Tensor) -> Any:
    leaves = tf.nest.flatten(x)
    return tf.nest.pack_sequence_as(x, [_with_noise(leaf, noise, [seed + i, number]) for i, leaf in enumerate(leaves)])


def _with_noise(x: tf.Tensor, noise: float, seed: Any) -> tf.Tensor:
    axes = list(range(1, x.shape.rank))
    width = tf.reduce_max(x, axes, keepdims=True) - tf.reduce_min(x, axes, keepdims=True)
    return x + noise * width * tf.random.stateless_normal(tf.shape(x), seed, dtype=x.dtype)
