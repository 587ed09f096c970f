"""The common part of all methods: the explained element of each sample's result, and its gradient by the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ..derivatives.operators import build
from ..differentiable import Differentiable
from ..errors import SignatureError
from ..op_gradients.register_gradient import rules_in_force
from ..public import not_pickled, public
from ..sources.layer_results import layer_output
from ..sources.resolve import resolve


@public("types")
@dataclass(frozen=True)
class Attribution:
    """Where a result comes from.

    Attributes:
        values: in the structure and shapes of x, with its dtype; Grad-CAM's have no axis for channels.
        target: ``[B]``, int32: the explained element of each sample, counted through its flattened result.
        completeness_error: ``[B]``: the sum of the values minus the difference of the explained element
            between x and the baseline; None for methods whose values sum to nothing in particular.
    """

    values: Any
    target: tf.Tensor
    completeness_error: tf.Tensor | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The values of a model of one input."""
        return np.asarray(self.values, dtype)


class Scores:
    """A batched function of one argument, with its result as ``[B, N]``.

    Args:
        fn: a Keras model, or another function that the operators take.
        of: "layer:NAME" explains the result of a layer in place of the model's.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: there is no such layer.
    """

    def __init__(self, fn: Any, of: str | None = None) -> None:
        source = resolve(fn, batched=True)
        self.source = source if of is None else layer_output(source, of)
        element = replace(self.source, call=self._element, input_specs=None, output_names=())
        self._derivative = build("gradient", ("value", "gradient"), element, {"argnums": 0})

    def converted(self, x: Any) -> Any:
        """x as tensors of the function's dtype.

        Raises:
            SignatureError: it doesn't fit.
        """
        return self.source.to_arguments([x], [0])[0]

    def at(self, x: Any) -> tf.Tensor:
        """All elements, ``[B, N]``."""
        return flatten_result(self.source.call(x), self.source)

    def element(self, x: Any, target: tf.Tensor) -> tf.Tensor:
        """The explained elements, ``[B]``."""
        return self._element(x, target)

    def value_and_gradient(self, x: Any, target: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """The explained elements ``[B]``, and their gradients in the structure of x."""
        value, gradient = self._derivative(x, target)
        return value, gradient

    def _element(self, x: Any, target: tf.Tensor) -> tf.Tensor:
        return pick_elements(self.at(x), target)


# A function from (scores, x, target) to the values, and the completeness error or None.
AttributionRule = Callable[[Scores, Any, tf.Tensor], tuple[Any, tf.Tensor | None]]


@public("types")
@not_pickled("pickle the model, and make the method of it again")
class Method:
    """A way to explain the results of one function, made by :func:`saliency` and its siblings.

    Attributes:
        name: of the method.
        scores: what is explained.
    """

    def __init__(self, name: str, scores: Scores, rule: AttributionRule) -> None:
        self.name = name
        self.scores = scores
        self._rule = rule
        self._traced: dict[Any, Any] = {}

    @tf.autograph.experimental.do_not_convert
    def __call__(self, x: Any, target: Any = None) -> Attribution:
        """The attribution at x.

        Args:
            x: what the function takes, each ``[B] + sample``.
            target: an integer, a tuple, an array ``[B]`` of integers; None: the largest of each sample.

        Raises:
            SignatureError: x does not fit the function, or there is no such target.
            GradientError: the function has no gradient.
        """
        converted = self.scores.converted(x)
        if any(leaf.shape[0] == 0 for leaf in tf.nest.flatten(converted)):
            return self._on_empty(converted, target)
        position = target_positions(target, self.scores, converted)
        values, error = self._function()(converted, position)
        return Attribution(values, position, error)

    def _function(self) -> Any:
        """The traced rule for the user's gradients in force: a ``tf.function`` keeps its first gradients."""
        rules = rules_in_force()
        if rules not in self._traced:
            rule = partial(self._rule, self.scores)
            self._traced[rules] = tf.function(rule, autograph=False, reduce_retracing=True)
        return self._traced[rules]

    def _on_empty(self, x: Any, target: Any) -> Attribution:
        """The attribution of no sample: of one sample, dropped again, as many layers can't be called without."""
        one = tf.nest.map_structure(lambda leaf: tf.ones([1, *leaf.shape[1:]], leaf.dtype), x)
        result = self(one, None if np.shape(target) == (0,) else target)
        error = result.completeness_error
        values = tf.nest.map_structure(lambda leaf: leaf[:0], result.values)
        return Attribution(values, result.target[:0], None if error is None else error[:0])

    def __repr__(self) -> str:
        return f"{self.name}({self.scores.source.name})"


def flatten_result(y: Any, source: Differentiable) -> tf.Tensor:
    """A result as ``[B, N]``.

    Raises:
        SignatureError: there are several results.
    """
    leaves = tf.nest.flatten(y)
    if len(leaves) != 1:
        raise SignatureError(
            "an attribution explains one result",
            subject=source.name,
            expected="one tensor",
            got=f"{len(leaves)} results",
            hint='of="layer:NAME" names the layer whose result is meant',
        )
    return tf.reshape(leaves[0], [tf.shape(leaves[0])[0], -1])


def pick_elements(y: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """The element ``target`` of each row."""
    return tf.gather(y, target, batch_dims=1)


def target_positions(target: Any, scores: Scores, x: Any) -> tf.Tensor:
    """The explained elements as positions in the flattened results at x: ``[B]``, int32.

    Raises:
        SignatureError: there is no such element, or the number of targets isn't that of the samples.
    """
    y = scores.source.call(x)
    values = flatten_result(y, scores.source)
    count, size = values.shape
    if target is None:
        return tf.argmax(values, 1, tf.int32) if size else tf.zeros([count], tf.int32)
    shape = tuple(tf.nest.flatten(y)[0].shape[1:]) or (1,)
    numbers = _numbers(target, shape, scores)
    if numbers.shape not in ((), (count,)):
        raise _error("a target for each sample is needed", f"{count} integers", f"{numbers.shape[0]}", scores)
    return tf.constant(np.broadcast_to(numbers, [count]), tf.int32)


def _numbers(target: Any, shape: tuple[int, ...], scores: Scores) -> np.ndarray:
    size = int(np.prod(shape))
    if isinstance(target, tuple):
        if len(target) != len(shape) or not all(-n <= t < n for t, n in zip(target, shape, strict=True)):
            raise _error("there is no such element", f"a tuple of places in {shape}", str(target), scores)
        return np.ravel_multi_index([t % n for t, n in zip(target, shape, strict=True)], shape)
    numbers = np.asarray(target)
    if numbers.dtype.kind not in "iu" or numbers.ndim > 1:
        raise _error("a target is an integer", "an int, a tuple, or an array [B] of int", repr(target), scores)
    if np.any((numbers < -size) | (numbers >= size)):
        raise _error("there is no such element", f"0 to {size - 1}", str(target), scores)
    return numbers % size


def _error(what: str, expected: str, got: str, scores: Scores) -> SignatureError:
    return SignatureError(what, subject=scores.source.name, expected=expected, got=got)
