"""A function as a graph without side effects: what it reads and writes of Keras' state is passed in and out.

A checkpoint runs it twice. The second time it has to see the same random numbers and moving averages, and change none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from ..errors import GradientError
from ..rules.operations import called_graphs
from .scopes import ours

_RANDOM = (
    *("RandomUniform", "RandomStandardNormal", "TruncatedNormal", "ParameterizedTruncatedNormal", "RandomUniformInt"),
    *("RandomGamma", "RandomPoissonV2", "RandomShuffle", "Multinomial", "StatefulRandomBinomial"),
    *("StatefulUniform", "StatefulStandardNormalV2", "StatefulTruncatedNormal", "StatefulUniformInt"),
    *("StatefulUniformFullInt", "RngReadAndSkip", "RngSkip"),
)
_WRITES = ("Assign", "ResourceScatter", "ResourceApply", "ScatterNdUpdate")


@dataclass(frozen=True)
class Pure:
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


def pure(call: Callable[..., Any], tensors: Sequence[tf.Tensor], name: str) -> Pure:
    """``call(*tensors)`` traced.

    Raises:
        GradientError: it draws random numbers that can't be drawn again, or changes a variable.
    """
    first = _traced(call, tensors, (), name)
    return _traced(call, tensors, first.states, name) if first.states else first


def _traced(call: Callable[..., Any], tensors: Sequence[tf.Tensor], states: Sequence[Any], name: str) -> Pure:
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
    return Pure(concrete, kept["states"], tf.nest.map_structure(lambda _: 0, kept["results"]))


def _refuse_unrepeatable(graph: Any, name: str) -> None:
    for operation in graph.get_operations():
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
        for inner in called_graphs(operation):
            _refuse_unrepeatable(inner, name)
