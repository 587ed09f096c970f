"""A function of nests as a function of the tensors in them, which ``tf.function`` can trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf


def is_tensor(leaf: Any) -> bool:
    """Whether a leaf of a nest is a tensor."""
    return isinstance(leaf, tf.Tensor)


def is_tensor_or_variable(leaf: Any) -> bool:
    """Whether a leaf of a nest is a tensor, or a variable, for whose value a tensor can stand."""
    return isinstance(leaf, (tf.Tensor, tf.Variable))


def flat_function(
    fn: Callable[[Any], Any], nest: Any, chosen: Callable[[Any], bool] = is_tensor
) -> tuple[Callable[..., Any], list[Any]]:
    """``fn`` of a nest like ``nest``, as a function of its ``chosen`` leaves; and these leaves of ``nest``.

    The leaves are in the order of ``tf.nest``. All others are filled in as they are.
    """
    leaves = tf.nest.flatten(nest)
    places = [place for place, leaf in enumerate(leaves) if chosen(leaf)]

    def flat(*given: Any) -> Any:
        filled = list(leaves)
        for place, leaf in zip(places, given, strict=True):
            filled[place] = leaf
        return fn(tf.nest.pack_sequence_as(nest, filled))

    return flat, [leaves[place] for place in places]


def specs_of(tensors: Iterable[Any]) -> list[tf.TensorSpec]:
    """The shapes and dtypes of ``tensors``, without their names, which would become those of arguments."""
    return [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
