"""Branches that only some turns of a vectorized loop take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ..pfor import branch_results, inputs_of_turns, is_stacked, theirs, vectorized, wrapped


@vectorized("If", "StatelessIf")
def _if(given: Any) -> Any:
    if not is_stacked(given, 0):
        return theirs(given)
    taken = 1 - tf.cast(given.stacked_input(0), tf.int32)
    return _branches(given, taken, [given.get_attr(name).name for name in ("then_branch", "else_branch")])


@vectorized("Case", "StatelessCase")
def _case(given: Any) -> Any:
    """TensorFlow's can't tell several results apart, and knows no index out of range, where the last branch counts."""
    if not is_stacked(given, 0):
        return theirs(given)
    branches, taken = given.get_attr("branches"), given.stacked_input(0)
    taken = tf.where((taken < 0) | (taken >= len(branches)), len(branches) - 1, taken)
    return _branches(given, taken, [branch.name for branch in branches])


def _branches(given: Any, taken: tf.Tensor, names: Sequence[str]) -> Any:
    """Each branch for the turns that take it; ``taken`` is the number of the branch of each turn."""
    places = tf.dynamic_partition(tf.range(given.pfor.loop_len_vector[0]), taken, len(names))
    turns = [tf.gather(given.pfor.all_indices, place) for place in places]
    columns = [
        _unless_empty(given, name, turn, inputs_of_turns(given.inputs[1:], place))
        for name, turn, place in zip(names, turns, places, strict=True)
    ]
    return wrapped([tf.dynamic_stitch(places, list(parts)) for parts in zip(*columns, strict=True)])


def _unless_empty(given: Any, name: str, turns: tf.Tensor, inputs: Sequence[Any]) -> list[tf.Tensor]:
    """A branch that no turn takes is not run: many ops can't be done for no turn at all."""
    if not all(y.shape.is_fully_defined() and y.dtype != tf.variant for y in given.outputs):
        return branch_results(given, name, turns, inputs)

    def none() -> list[tf.Tensor]:
        return [tf.zeros([0, *y.shape], y.dtype) for y in given.outputs]

    found = tf.cond(tf.size(turns) > 0, lambda: branch_results(given, name, turns, inputs), none)
    return found if isinstance(found, list) else [found]
