"""Going through a graph from results to what they are made of, as if the functions it calls were written out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...graph.ops import CALLS, called_graphs, functions_of
from ...sources.imported_graph import STANDS_FOR

# What tracing puts behind each result of a function.
_TRACED = re.compile(r"Identity(_\d+)?")


@dataclass(frozen=True)
class Frame:
    """One call of a function: whose graph, by which op, inside which other call."""

    graph: Any
    call: Any
    outer: Frame | None


@dataclass(frozen=True)
class CallPlace:
    """An op, where it is called."""

    operation: Any
    frame: Frame | None

    @property
    def marks(self) -> list[str]:
        """The ops of a file that it stands for, "name : OpType" each, the first one's input next; mostly none."""
        attributes = self.operation.node_def.attr
        return str(attributes[STANDS_FOR].s.decode()).splitlines() if STANDS_FOR in attributes else []

    @property
    def types(self) -> list[str]:
        """Its op type, or those that it stands for."""
        return [mark.rpartition(" : ")[2] for mark in self.marks] or [self.operation.type]

    def below(self) -> list[CallPlace | CalledSection]:
        """What makes its inputs, and the functions of a loop or a branch; nothing where it stands for ops of a file."""
        if self.marks:
            return []
        inputs = [place_of(tensor, self.frame) for tensor in self.operation.inputs]
        return [*_sections(self), *inputs]


@dataclass(frozen=True)
class CalledSection:
    """A function inside an op that decides whether, and how often, it runs."""

    title: str
    results: tuple[CallPlace, ...]

    def below(self) -> list[CallPlace | CalledSection]:
        """What makes its results."""
        return list(self.results)


def place_of(tensor: Any, frame: Frame | None) -> CallPlace:
    """The op that a tensor comes from, through calls: into a function, and out again at its arguments."""
    while True:
        operation = tensor.op
        called = functions_of(operation) if operation.type in CALLS else [None]
        if called[0] is not None:
            tensor, frame = result_of(called[0], tensor.value_index), Frame(called[0], operation, frame)
        elif frame is not None and (position := _argument(operation, frame)) is not None:
            tensor, frame = frame.call.inputs[position], frame.outer
        else:
            return CallPlace(operation, frame)


def result_of(graph: Any, position: int) -> Any:
    """A result of a function, without the Identity that tracing put behind it."""
    tensor = graph.outputs[position]
    plumbing = tensor.op.type == "Identity" and _TRACED.fullmatch(tensor.op.name)
    return tensor.op.inputs[0] if plumbing else tensor


def everything_below(*starts: CallPlace | CalledSection) -> Iterator[CallPlace]:
    """All ops that results are made of, each once, the starts first."""
    seen: set[Any] = set()
    waiting = list(starts)
    while waiting:
        item = waiting.pop()
        if item not in seen:
            seen.add(item)
            if isinstance(item, CallPlace):
                yield item
            waiting += item.below()


def _argument(operation: Any, frame: Frame) -> int | None:
    if operation.type != "Placeholder" or frame.call.type not in CALLS:
        return None
    return next((i for i, tensor in enumerate(frame.graph.inputs) if tensor.op is operation), None)


def _sections(place: CallPlace) -> list[CalledSection]:
    if place.operation.type in CALLS:
        return []
    return [
        CalledSection(
            f"{graph.name} : function",
            tuple(
                dict.fromkeys(
                    place_of(result_of(graph, i), Frame(graph, place.operation, place.frame))
                    for i in range(len(graph.outputs))
                )
            ),
        )
        for graph in called_graphs(place.operation)
    ]
