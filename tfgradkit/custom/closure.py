"""What a residual uses beside its arguments: variables, and tensors that it closes over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ..derivatives.choices import Options
from ..derivatives.independence import judged, refuse_coupled
from ..derivatives.selection import select
from ..differentiable import Differentiable


def captured(source: Differentiable, u: Any, parameters: Sequence[Any], check: Callable[[Any], Any]) -> list[Any]:
    """The floating tensors and variables that ``source.call(u, *parameters)`` takes from around it.

    The residual is traced once, aside. ``check`` is told what it returns.

    Raises:
        GradientError: batched, and the samples influence each other.
    """
    given = tf.nest.flatten((u, list(parameters)))
    tensors = [leaf for leaf in given if isinstance(leaf, tf.Tensor)]

    def aside(*flat: tf.Tensor) -> None:
        found = iter(flat)
        filled = [next(found) if isinstance(leaf, tf.Tensor) else leaf for leaf in given]
        u_here, parameters_here = tf.nest.pack_sequence_as((u, list(parameters)), filled)
        _examined(source, u_here, parameters_here, check)

    specs = [tf.TensorSpec(t.shape, t.dtype) for t in tensors]
    graph = tf.function(aside, autograph=False).get_concrete_function(*specs).graph
    outside = [outer for outer in graph.external_captures if outer.dtype.is_floating]
    return [*outside, *(v for v in graph.variables if v.dtype.is_floating)]


def _examined(source: Differentiable, u: Any, parameters: Sequence[Any], check: Callable[[Any], Any]) -> None:
    arguments = [u, *parameters]
    options = Options(argnums=0)
    selection = select(source, options, arguments)

    def call() -> list[tf.Tensor]:
        ys = selection.f(selection.xs, 1)
        check(ys)
        return ys

    if not source.batched or source.checked:
        call()
        return
    leaves = [
        x for x in tf.nest.flatten(arguments) if isinstance(x, tf.Tensor) and x.dtype.is_floating and x.shape.rank
    ]
    _, found = judged(source, options, call, leaves, arguments)
    refuse_coupled(found, source.name)
