"""Gradients of functions whose ops no tape can record: branches of TensorFlow 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Build = Callable[..., Sequence[tf.Tensor]]


def flat_gradient(build: Build) -> Build:
    """``build`` as a function of tensors whose gradient is that of the graph it writes, of any order.

    ``build`` writes ops that no tape sees. It is called again where a gradient is taken, so that both are in one
    graph: what a branch that isn't taken would have made can't leave a function.
    """

    @tf.custom_gradient
    def call(*given: tf.Tensor) -> Any:
        xs = [_here(x) for x in given]
        results = list(build(*xs))
        floating = [i for i, x in enumerate(xs) if x.dtype.is_floating]

        def pulled(*tensors: tf.Tensor) -> list[tf.Tensor]:
            inner, upstream = tensors[: len(xs)], tensors[len(xs) :]
            ys = build(*inner)
            return tf.gradients(ys, [inner[i] for i in floating], list(upstream), unconnected_gradients="zero")

        def gradient(*upstream: tf.Tensor) -> list[tf.Tensor | None]:
            found = dict(zip(floating, flat_gradient(pulled)(*xs, *upstream), strict=True))
            return [found.get(i) for i in range(len(xs))]

        return results, gradient

    return call


def _here(x: tf.Tensor) -> tf.Tensor:
    """A tensor of an outer graph, as ops of this graph see it: what is imported doesn't look there by itself."""
    graph = tf.compat.v1.get_default_graph()
    return x if x.graph is graph else graph.capture(x)
