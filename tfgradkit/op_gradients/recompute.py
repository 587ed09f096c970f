"""A function whose intermediate results are computed again for the gradient: what a checkpoint is.

The function runs twice, and the second time it has to see the same random numbers and moving averages, and change none.
So it is traced as a graph without side effects: Keras' state is passed in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from ..errors import GradientError
from ..graph.contexts import ours
from ..graph.ops import everywhere
from ..graph.trace import flat_function, is_tensor_or_variable

_RANDOM = (
    *("RandomUniform", "RandomStandardNormal", "TruncatedNormal", "ParameterizedTruncatedNormal", "RandomUniformInt"),
    *("RandomGamma", "RandomPoissonV2", "RandomShuffle", "Multinomial", "StatefulRandomBinomial"),
    *("StatefulUniform", "StatefulStandardNormalV2", "StatefulTruncatedNormal", "StatefulUniformInt"),
    *("StatefulUniformFullInt", "RngReadAndSkip", "RngSkip"),
)
_WRITES = ("Assign", "ResourceScatter", "ResourceApply", "ScatterNdUpdate")


@dataclass(frozen=True)
class StatelessFunction:
    """One trace of a function.

    Attributes:
        concrete: ``(*tensors, *states) -> [*results, *new states, *losses]``, flat.
        states: the Keras variables that it changes.
        structure: of the results.
    """

    concrete: Any
    states: tuple[Any, ...]
    structure: Any

    @property
    def captured(self) -> list[tf.Tensor]:
        """The tensors and variables of other graphs that it uses."""
        return list(self.concrete.captured_inputs)

    def __call__(self, given: Sequence[tf.Tensor], captured: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Its flat results, of ``given`` and of what it captured."""
        return list(self.concrete._call_flat(list(given), list(captured)))


class _Recorder(keras.StatelessScope):
    """Keeps which variables were changed."""

    def __init__(self, state_mapping: Any = None) -> None:
        super().__init__(state_mapping=state_mapping, collect_losses=True)
        self.changed: dict[int, Any] = {}

    def add_update(self, update: Any) -> None:
        """Instead of assigning."""
        self.changed[id(update[0])] = update[0]
        super().add_update(update)


def stateless(call: Callable[..., Any], tensors: Sequence[tf.Tensor], name: str) -> StatelessFunction:
    """``call(*tensors)`` traced.

    Raises:
        GradientError: it draws random numbers that can't be drawn again, or changes a variable.
    """
    first = _traced(call, tensors, (), name)
    return _traced(call, tensors, first.states, name) if first.states else first


def _traced(
    call: Callable[..., Any], tensors: Sequence[tf.Tensor], states: Sequence[Any], name: str
) -> StatelessFunction:
    kept: dict[str, Any] = {}

    def run(*given: tf.Tensor) -> list[tf.Tensor]:
        ours(tf.compat.v1.get_default_graph())
        xs, values = given[: len(tensors)], given[len(tensors) :]
        with _Recorder(list(zip(states, values, strict=True))) as scope:
            results = call(*xs)
        changed = tuple(scope.changed.values())
        kept.update(states=changed, results=results, losses=len(scope.losses))
        return [*tf.nest.flatten(results), *(scope.get_current_value(v) for v in changed), *scope.losses]

    like = [*tensors, *(variable.value for variable in states)]
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in like]
    concrete = tf.function(run, autograph=False).get_concrete_function(*specs)
    _refuse_unrepeatable(concrete.graph, name)
    if kept["losses"]:
        raise GradientError(
            "a layer inside adds a loss, which a checkpoint would lose",
            subject=name,
            hint="leave that layer outside, or add the loss outside (activity regularizers add one, too)",
        )
    return StatelessFunction(concrete, kept["states"], tf.nest.map_structure(lambda _: 0, kept["results"]))


def _refuse_unrepeatable(graph: Any, name: str) -> None:
    for operation in everywhere(graph.get_operations()):
        if operation.type in _RANDOM:
            raise GradientError(
                "random numbers would be others when they are drawn again",
                subject=f"{name}, op {operation.type} {operation.name}",
                hint="tf.random.stateless_uniform and its siblings with a seed, or keras.random with a SeedGenerator",
            )
        if operation.type.startswith(_WRITES):
            raise GradientError(
                "the function changes a variable, which it would do twice",
                subject=f"{name}, op {operation.type} {operation.name}",
                hint="assign outside of the checkpoint; variables of Keras layers may be assigned",
            )


class Checkpointed:
    """``call`` with its intermediate results computed again for the gradient."""

    def __init__(self, call: Callable[..., Any], name: str | None = None) -> None:
        self._call = call
        self.__name__: str = name or getattr(call, "__name__", None) or "function"
        self._function = tf.function(self.inlined, autograph=False, reduce_retracing=True)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """The value of ``call``."""
        # Eagerly a tape would keep what a function computes, unless that is a function with a gradient of its own.
        return (self._function if tf.executing_eagerly() else self.inlined)(*arguments, **keywords)

    def inlined(self, *arguments: Any, **keywords: Any) -> Any:
        """In the current graph."""
        nest = (arguments, keywords)
        flat, leaves = flat_function(lambda given: self._call(*given[0], **given[1]), nest, is_tensor_or_variable)
        tensors = [tf.convert_to_tensor(leaf) for leaf in leaves]
        traced = stateless(flat, tensors, self.__name__)
        states = [tf.identity(variable.value) for variable in traced.states]
        results = _recomputed(traced, tensors, states)
        count = len(tf.nest.flatten(traced.structure))
        for variable, value in zip(traced.states, results[count:], strict=True):
            variable.assign(value)
        return tf.nest.pack_sequence_as(traced.structure, results[:count])


def _recomputed(
    traced: StatelessFunction, tensors: Sequence[tf.Tensor], states: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
    """``traced``, whose gradient evaluates it again. What it closes over are arguments, so that they have gradients."""
    captured = traced.captured
    own = [i for i, tensor in enumerate(captured) if tensor.dtype not in (tf.resource, tf.variant)]
    given = [_here(x) for x in (*tensors, *states, *(captured[i] for i in own))]

    def evaluated(given: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        count = len(tensors) + len(states)
        filled = list(captured)
        for i, tensor in zip(own, given[count:], strict=True):
            filled[i] = tensor
        return traced(given[:count], filled)

    @tf.custom_gradient
    def run(*given: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., Any]]:
        return evaluated(given), partial(_gradient, evaluated, given)

    found = run(*given)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def _here(x: tf.Tensor) -> tf.Tensor:
    """``x`` in the current graph: the gradient of a branch knows the tensors of the branch, not of graphs around it."""
    graph = getattr(x, "graph", None)
    return x if tf.executing_eagerly() or graph is tf.compat.v1.get_default_graph() else tf.identity(x)


def _gradient(
    evaluated: Callable[..., list[tf.Tensor]],
    given: Sequence[tf.Tensor],
    *upstream: tf.Tensor,
    variables: Sequence[tf.Variable] | None = None,
) -> Any:
    known = [i for i, x in enumerate(given) if _carries(x)]
    coming = [i for i, u in enumerate(upstream) if u is not None and _carries(u)]
    later = _after([upstream[i] for i in coming])
    again = [_held(x, later) if i in known else x for i, x in enumerate(given)]
    with tf.GradientTape() as tape:
        tape.watch([again[i] for i in known])
        ys = evaluated(again)
    wanted = [[again[i] for i in known], list(variables or [])]
    us = [upstream[i] for i in coming]
    gradients, by_variables = tape.gradient([ys[i] for i in coming], wanted, output_gradients=us)
    found = {i: None if g is None else tf.convert_to_tensor(g) for i, g in zip(known, gradients, strict=True)}
    by_given = [found.get(i) for i in range(len(given))]
    return by_given if variables is None else (by_given, by_variables)


def _after(upstream: Sequence[tf.Tensor]) -> tf.Tensor:
    """Always true, but known to be only once the gradient has come back.

    The second evaluation hangs on it: no compiler can find it equal to the first one and merge them, and no executor
    starts it before. A control dependency would do neither for XLA.
    """
    element = tf.math.real(tf.reduce_sum(tf.reshape(upstream[0], [-1])[:1]))
    return tf.equal(element, element) | tf.math.is_nan(element)


def _held(x: tf.Tensor, later: tf.Tensor) -> tf.Tensor:
    return tf.where(later, x, tf.zeros_like(x))


def _carries(tensor: tf.Tensor) -> bool:
    return tensor.dtype.is_floating or tensor.dtype.is_complex
