"""Where the pattern of a signature comes from: the caller, or the graph; found once."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..point import Point
from ..trace import signature_of
from .detect import detected
from .given import fitted


class Patterns:
    """The patterns of a derivative, one for each signature.

    Attributes:
        latest: that of the signature that was traced last.
    """

    def __init__(self, given: Any = None) -> None:
        self.given = given
        self.latest: Any = None
        self._found: dict[Any, Any] = {}

    def of(self, point: Point, y: tf.Tensor, x: tf.Tensor) -> tuple[Any, str]:
        """The pattern at ``point`` of y by x, flat both, and where it comes from.

        Raises:
            SignatureError: the given one has another shape than the Jacobian.
        """
        if self.given is not None:
            self.latest = fitted(self.given, y.shape[-1], x.shape[-1], point.name)
            return self.latest, "given"
        arguments = list(point.arguments)
        key = signature_of((arguments, None), point.batched)
        if key not in self._found:
            self._found[key] = self._detected(point, arguments)
        self.latest = self._found[key]
        return self.latest, "detected"

    def _detected(self, point: Point, arguments: list[Any]) -> Any:
        def traced(sample: Any) -> Any:
            assert point.reselect is not None
            selection = point.reselect(sample)
            return selection.xs, selection.f(selection.xs, 1)

        return detected(traced, arguments, point.batched, point.name)
