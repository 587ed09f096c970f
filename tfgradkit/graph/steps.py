"""``Step``: one op of a calculation, whether it ran eagerly or stands in a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..sources.layers import layer_of
from .location import Site, site_of


@dataclass(frozen=True, eq=False)
class Step:
    """An op, with what it took and what it made.

    Attributes:
        type: the op's type; for a function the function's name, for a value that was read by Python "numpy".
        inputs, outputs: tensors; ``tensor.ref()`` tells them apart.
        site: where in the user's code.
        operation: what the gradient functions of TensorFlow take.
        graph: of the function that it calls, whose inputs are the step's inputs; None for an op.
        rule: the gradient function of a ``tf.custom_gradient``.
        recorded: whether the tape was recording.
    """

    type: str
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    site: Site = field(default_factory=Site)
    operation: Any = None
    graph: Any = None
    rule: Callable[..., Any] | None = None
    recorded: bool = True


def steps_of(operations: Iterable[Any], layer_names: Iterable[str] = ()) -> list[Step]:
    """The ops of a graph as steps."""
    names = frozenset(layer_names)
    return [_step(operation, names) for operation in operations]


def _step(operation: Any, layer_names: frozenset[str]) -> Step:
    layer = layer_of(operation.name, layer_names)
    site = site_of(operation, None if layer == operation.name else layer)
    if site.location is None and site.layer is None and "/" in operation.name:
        site = Site(layer=operation.name.split("/")[-2])  # a loaded graph has its scopes
    return Step(operation.type, tuple(operation.inputs), tuple(operation.outputs), site, operation)
