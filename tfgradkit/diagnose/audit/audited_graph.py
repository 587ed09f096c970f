"""``Look``: a traced function under audit, with its derivatives as they are added to its graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...graph.dependence import between
from ...graph.gradient_names import differentiated
from ...graph.ops import called_graphs
from ...graph.user_line import made_at
from ..graph.gradient_graph import variables_of
from ..graph.graph_view import GraphView
from .audit_result import Obstacle, ObstacleKind


@dataclass
class Look:
    """A function under audit.

    Attributes:
        seen: its trace.
        order, target: as of :func:`audit`.
        xs, ys: the tensors to differentiate by, and those to differentiate.
        way: the function's ops on the way from xs to ys.
        own: all ops of the function.
        known: the same, and later the ops of derivatives, too.
        results: values and derivatives.
        incomplete: why some of it could not be looked at.
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
        """The look at a traced function, to be differentiated by its "inputs" or its "parameters"."""
        ys = [y for y in seen.outputs if y.dtype.is_floating or y.dtype.is_complex]
        if wrt == "inputs":
            xs = [x for x in seen.inputs if x.dtype.is_floating or x.dtype.is_complex]
        else:
            xs = list(variables_of(seen, seen.source.trainable() or seen.graph.trainable_variables).values())
        own = dict.fromkeys(seen.everywhere())
        way = between(seen.graph.get_operations(), xs, ys)
        return cls(seen, order, target, xs, ys, way, own, set(own), list(seen.outputs))

    def forward_of(self, operation: Any) -> Any | None:
        """The op of the function whose derivative ``operation`` belongs to; None for an op of the function itself."""
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
        """The obstacle that an op of the graph is, with its place."""
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
    """Whether the audit looks through an op: at the functions that it calls, or at the gradient it has of its own."""
    return bool(called_graphs(operation)) or "_gradient_op_type" in operation.node_def.attr
