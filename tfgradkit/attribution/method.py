"""What all methods share: the explained element, and a trace for each shape of the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ..rules.register import rules_in_force
from .scores import Scores
from .targets import chosen

# From (scores, x, target) to the values, and the completeness error where there is one.
Rule = Callable[[Scores, Any, tf.Tensor], tuple[Any, tf.Tensor | None]]


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


class Method:
    """A way to explain the results of one function, made by :func:`saliency` and its siblings.

    Attributes:
        name: of the method.
        scores: what is explained.
    """

    def __init__(self, name: str, scores: Scores, rule: Rule) -> None:
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
        position = chosen(target, self.scores, converted)
        values, error = self._function()(converted, position)
        return Attribution(values, position, error)

    def _function(self) -> Any:
        """One for each set of the user's rules: a ``tf.function`` keeps the gradients that it was first asked for."""
        rules = rules_in_force()
        if rules not in self._traced:
            rule = partial(self._rule, self.scores)
            self._traced[rules] = tf.function(rule, autograph=False, reduce_retracing=True)
        return self._traced[rules]

    def _on_empty(self, x: Any, target: Any) -> Attribution:
        """Many layers can't be called without a sample: it runs with one, which is dropped again."""
        one = tf.nest.map_structure(lambda leaf: tf.ones([1, *leaf.shape[1:]], leaf.dtype), x)
        found = self(one, None if np.shape(target) == (0,) else target)
        error = found.completeness_error
        values = tf.nest.map_structure(lambda leaf: leaf[:0], found.values)
        return Attribution(values, found.target[:0], None if error is None else error[:0])

    def __repr__(self) -> str:
        return f"{self.name}({self.scores.source.name})"
