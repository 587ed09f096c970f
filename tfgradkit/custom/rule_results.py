"""What a user's rule returns, as flat tensors that fit; else an error that says which argument it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..arguments import shape_text, structure_text
from ..errors import GradientError
from .tie import Tensors, is_differentiable


@dataclass(frozen=True)
class Expected:
    """What a rule has to return.

    Attributes:
        rule: how messages call it: "the vjp rule of f".
        likes: one nest for each thing that it returns a derivative for.
        names: of those.
        returns: how its result is described: "one gradient for each argument".
    """

    rule: str
    likes: Sequence[Any]
    names: Sequence[str]
    returns: str

    def flat(self, given: Any) -> Tensors:
        """The derivatives for the differentiable leaves, in the order of ``tf.nest``.

        Raises:
            GradientError: another number, structure, shape or dtype, or None.
        """
        return [
            tensor
            for result, like, name in zip(self._split(given), self.likes, self.names, strict=True)
            for tensor in self._leaves(result, like, name)
        ]

    def _split(self, given: Any) -> Sequence[Any]:
        if len(self.likes) == 1 and not self._is_single(given):
            return [given]
        if isinstance(given, (list, tuple)) and len(given) == len(self.likes):
            return given
        count = f"{len(given)} results" if isinstance(given, (list, tuple)) else f"a {type(given).__name__}"
        raise GradientError(
            f"{self.rule} returns the wrong number of results",
            expected=f"{self.returns}: ({', '.join(self.names)}{',' if len(self.names) == 1 else ''})",
            got=count,
        )

    def _is_single(self, given: Any) -> bool:
        """Whether ``given`` wraps the one result in a tuple, rather than being it."""
        wrapped = isinstance(given, (list, tuple)) and len(given) == 1
        like = self.likes[0]
        return wrapped and not (isinstance(like, (list, tuple)) and len(like) == 1 and not _nested(given[0]))

    def _leaves(self, result: Any, like: Any, name: str) -> Tensors:
        wanted = tf.nest.flatten(like)
        if not any(is_differentiable(leaf) for leaf in wanted):
            return []
        if result is None:
            raise self._none(name)
        try:
            tf.nest.assert_same_structure(like, result, check_types=False)
        except (TypeError, ValueError) as error:
            raise GradientError(
                f"{self.rule} returns another structure for {name}",
                expected=structure_text(like),
                got=structure_text(result),
            ) from error
        pairs = zip(tf.nest.flatten(result), wanted, strict=True)
        return [self._leaf(leaf, x, name) for leaf, x in pairs if is_differentiable(x)]

    def _leaf(self, result: Any, like: tf.Tensor, name: str) -> tf.Tensor:
        if result is None:
            raise self._none(name)
        tensor = self._tensor(result, like, name)
        if tensor.dtype != like.dtype:
            raise GradientError(
                f"{self.rule} returns another dtype for {name}", expected=like.dtype.name, got=tensor.dtype.name
            )
        if not tensor.shape.is_compatible_with(like.shape):
            raise GradientError(
                f"{self.rule} returns another shape for {name}",
                expected=shape_text(like.shape),
                got=shape_text(tensor.shape),
                hint="a gradient is shaped like what it is by; sum over the axes that were broadcast",
            )
        tensor.set_shape(like.shape)
        return tensor

    def _tensor(self, result: Any, like: tf.Tensor, name: str) -> tf.Tensor:
        try:
            # A Python number has no dtype of its own.
            return tf.convert_to_tensor(result, like.dtype if isinstance(result, (int, float, complex)) else None)
        except (TypeError, ValueError) as error:
            raise GradientError(
                f"{self.rule} returns no tensor for {name}", expected=shape_text(like.shape), got=type(result).__name__
            ) from error

    def _none(self, name: str) -> GradientError:
        return GradientError(
            f"{self.rule} returns None for {name}",
            expected="a tensor, since it is floating",
            got="None",
            hint="tf.zeros_like of it, where nothing depends on it",
        )


def _nested(x: Any) -> bool:
    return isinstance(x, (list, tuple, dict))
