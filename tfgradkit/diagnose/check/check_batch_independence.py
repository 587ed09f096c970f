"""``check_batch_independence``: whether a function keeps the samples of a batch apart."""

from __future__ import annotations

from typing import Any, Unpack

import tensorflow as tf

from ...derivatives.batch.independence import BatchIndependence, by_arguments, check_independence
from ...derivatives.failures.foreign_errors import translating
from ...derivatives.keywords import Keywords, documented
from ...derivatives.operators import build
from ...derivatives.options import Options
from ...derivatives.problem import batch_axis, is_batched, narrowed, select
from ...op_gradients.exact_functions import exact_functions


@translating
@documented(without=("batched",))
def check_batch_independence(fn: Any, *arguments: Any, **keywords: Unpack[Keywords]) -> BatchIndependence:
    """Whether the results of a sample depend on that sample alone: what a batched derivative takes for granted.

    The graph is screened op by op; where that doesn't prove it, batches of three sizes are run (that of the arguments,
    five and two samples), and a random gradient of one's results by the others has to be zero (up to 1e-6 of the
    gradient by its own sample).

    Args:
        fn: a model, a layer or a function, as for an operator; the first axis of its arguments and results counts
            samples, unlike elsewhere for plain functions, too.
        arguments: what it takes, ``[B] + x`` each.

    Returns:
        A :class:`~tfgradkit.BatchIndependence`: ``.ok``; ``.status``, "proven" | "probed" | "coupled" | "reduced" |
        "unknown"; ``.layer`` and ``.op``, which mix the samples; ``.text``.

    Raises:
        SignatureError: arguments that the function doesn't take, or no such value of a keyword.
        GradientError: the probe can't be differentiated: an op without a gradient.

    Example:
        >>> tgk.check_batch_independence(lambda x: x - tf.reduce_mean(x, 0), np.ones([2, 3])).status
        'coupled'
    """
    derivative = build("jacobian", ("jacobian",), fn, {**keywords, "batched": True})
    converted = derivative.converted(arguments)
    source, options = narrowed(derivative.source, derivative.options), derivative.options
    results: list[BatchIndependence] = []

    def trace(*tensors: Any) -> None:
        inputs = tf.nest.pack_sequence_as(converted, list(tensors))
        selection = select(source, options, inputs)
        # Of a derivative by variables, too, the samples of the arguments have to be independent.
        chosen = by_arguments(options, inputs) if selection.variables else options
        xs = select(source, chosen, inputs).xs
        _, verdict = check_independence(source, chosen, lambda _: selection.call(selection.xs), xs, converted)
        results.append(verdict)

    with exact_functions():
        tf.function(trace, autograph=False).get_concrete_function(*_specs(derivative.options, converted))
    return results[0]


def _specs(options: Options, arguments: list[Any]) -> list[Any]:
    """For each leaf its spec, for any number of samples; a leaf that is no tensor stays."""
    batch = batch_axis(options, arguments)

    def spec(leaf: Any) -> Any:
        if not isinstance(leaf, tf.Tensor):
            return leaf
        return tf.TensorSpec([None, *leaf.shape[1:]] if is_batched(leaf, batch) else leaf.shape, leaf.dtype)

    return [spec(leaf) for leaf in tf.nest.flatten(arguments)]
