"""What :func:`audit` looks at: a traced function, and its derivatives as they are added to its graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...graph.dependence import between
from ...graph.ops import called_graphs
from ..graph.gradient_graph import differentiated, variables_of
from ..graph.graph_view import GraphView
from ..trace_ops.user_line import made_at
from .audit_result import Obstacle, ObstacleKind


@dataclass
class Look:
    """A function being looked at.

    Attributes:
        seen: its trace.
        order, target: what was asked for.
        xs, ys: what is differentiated by, and what.
        way: its ops on the way from xs to ys.
        own: all ops of the function.
        known: those, and then those of its derivatives.
        results: values and derivatives.
        incomplete: why not all of it could be looked at.
    """

    seen: GraphView
    order: int
    target: str
    xs: list[Any]
    ys: list[Any]
    way: list[Any]
    own: dict[Any, None]
    known: set[Any]
    results: list[Any]
    incomplete: str | None = None

    @classmethod
    def at(cls, seen: GraphView, order: int, target: str, wrt: str) -> Look:
        """A look at a traced function, by its "inputs" or by its "parameters"."""
        ys = [y for y in seen.outputs if y.dtype.is_floating or y.dtype.is_complex]
        if wrt == "inputs":
            xs = [x for x in seen.inputs if x.dtype.is_floating or x.dtype.is_complex]
        else:
            xs = list(variables_of(seen, seen.source.trainable() or seen.graph.trainable_variables).values())
        own = dict.fromkeys(seen.everywhere())
        way = between(seen.graph.get_operations(), xs, ys)
        return cls(seen, order, target, xs, ys, way, own, set(own), list(seen.outputs))

    def forward_of(self, operation: Any) -> Any | None:
        """The op of the function whose derivative an op belongs to; None for those of the function itself."""
        if operation in self.own:
            return None
        for graph in dict.fromkeys([self.seen.graph, *(op.graph for op in self.own)]):
            found = differentiated(graph, [operation.name])
            if found is not None:
                return found
        return None

    def obstacle(
        self, kind: ObstacleKind, operation: Any, order: int, text: str, remedy: str, fails: bool = True
    ) -> Obstacle:
        """A finding about an op of the graph, with its place."""
        forward = self.forward_of(operation)
        place = forward or operation
        where = made_at(place)
        return Obstacle(
            kind, order, operation.type, operation.name, fails, text, remedy,
            forward_op=None if forward is None else forward.type,
            layer=self.seen.layer(place) or self.seen.layer(operation),
            where=None if where is None else str(where),
            code=None if where is None else where.code,
        )  # fmt: skip


def is_transparent(operation: Any) -> bool:
    """Whether it is looked into, or has a gradient of its own."""
    return bool(called_graphs(operation)) or "_gradient_op_type" in operation.node_def.attr
