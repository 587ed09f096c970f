"""``Block``: what ran under a tape; from it comes the answer for one output and one input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...graph.location import Location, Site
from ...graph.steps import Step
from ...rules.operations import called_graphs
from ...rules.registry import ABSENT, SHIPPED
from .causes import SENTENCES, ZERO_SENTENCES
from .code import Code
from .connection import Connection, Status
from .cut import Cut, carries
from .named import Named
from .origins import unread, unwatched, watched_late, without_influence
from .remedies import Trouble, remedy
from .walk import CONNECTED, Cuts, State, Walk
from .zeros import zero_at


@dataclass
class Block:
    """Ops that ran, and the user's code around them.

    Attributes:
        steps: the ops.
        watched: ``ref()`` of what the tape watches, with the number of ops that ran before.
        code: the source of the block, where it can be read.
        lines: its first and last line.
        automatic: whether the tape watches trainable variables by itself.
        layer_names: of the layers whose scopes name ops in graphs.
        gradients: what the tape gives for a target by tensors; None where there is no tape to ask.
    """

    steps: Sequence[Step]
    watched: Mapping[Any, int]
    code: Code | None = None
    lines: tuple[int, int] | None = None
    automatic: bool = True
    layer_names: Sequence[str] = ()
    gradients: Callable[[Any, Sequence[Any]], list[Any]] | None = None
    _walks: dict[Any, Walk] = field(default_factory=dict)
    _cuts: Cuts = field(default_factory=dict)

    def connection(self, output: Named, source: Named, status: Status, error: str = "") -> Connection:
        """The answer for one pair, whose status TensorFlow has said."""
        if status == "connected":
            state = self.state(output, source) if self._uses_shipped() else None
            failing = isinstance(state, Cut) and state.fails
            return self._answer(output, source, "error", state) if failing else Connection(output.name, source.name, status)
        if status == "zero":
            cut = self._zero(output, source)
        else:
            cut = self._failing(output, source, error) if status == "error" else self._cut(output, source)
        return self._answer(output, source, status, cut)

    def static_status(self, output: Named, source: Named) -> Status:
        """The status by the ops alone, where no tape can be asked."""
        state = self.state(output, source)
        if isinstance(state, Cut) and state.fails:
            return "error"
        return "connected" if state == CONNECTED and self.is_watched(source) else "none"

    def walk(self, source: Named) -> Walk:
        """Forward from one source."""
        key = source.tensor.ref()
        if key not in self._walks:
            start: dict[Any, State] = {tensor.ref(): CONNECTED for tensor in self.starts(source)}
            self._walks[key] = Walk(start, self.layer_names, self._cuts).over(self.steps)
        return self._walks[key]

    def starts(self, source: Named) -> list[Any]:
        """Its tensor; of a variable the values, too, that ops have read without an op of their own."""
        if source.variable is None or self.gradients is None:
            return [source.tensor]
        made = {tensor.ref() for step in self.steps for tensor in step.outputs}
        taken = {t.ref(): t for step in self.steps for t in step.inputs if t.ref() not in made and t.dtype == source.dtype}
        alike = [t for t in taken.values() if t.shape == source.variable.shape]
        return [source.tensor, *(t for t in alike if self.gradients(t, [source.value])[0] is not None)]

    def state(self, output: Named, source: Named) -> State:
        """How far the source's gradient and influence go."""
        return self.walk(source).state(output.tensor)

    def is_watched(self, source: Named) -> bool:
        """Whether the tape watches it, or the block itself makes it."""
        return source.tensor.ref() in self.watched or self.made(source.tensor)

    def made(self, tensor: Any) -> bool:
        """Whether an op of the block makes a tensor."""
        return any(result is tensor for step in self.steps for result in step.outputs)

    def first_use(self, source: Named) -> int | None:
        """The number of the first op that takes it."""
        keys = {tensor.ref() for tensor in self.starts(source)}
        return next((i for i, step in enumerate(self.steps) if any(t.ref() in keys for t in step.inputs)), None)

    def place_of(self, source: Named) -> Site:
        """Where it is used first, else where the block begins."""
        first = self.first_use(source)
        site = Site() if first is None else self.steps[first].site
        start = self.code.location if self.code else None
        return site if site.location else Site(start, site.layer or source.layer)

    def line(self, look: Callable[[Code], Any]) -> Location | None:
        """A line that the source tells of."""
        found = look(self.code) if self.code is not None else None
        return None if found is None or self.code is None else Location(self.code.location.file, found.line)

    def _uses_shipped(self) -> bool:
        """Whether there is an op whose only gradient is one that tfgradkit adds."""
        added = {kind for kind, shipped in SHIPPED.items() if shipped.replaces is ABSENT}
        return bool(added) and any(kind in added for step in self.steps for kind in _types(step))

    def _failing(self, output: Named, source: Named, error: str) -> Cut:
        states = [self.state(output, source), *self.walk(source).states.values()]
        found = next((state for state in states if isinstance(state, Cut) and state.fails), None)
        return found or Cut("unregistered", Step("an op", (), ()), fails=True, why=f"TensorFlow says: {error}")

    def _zero(self, output: Named, source: Named) -> Cut:
        """Functions and integer results give zeros where there is no way."""
        state = self.state(output, source)
        if state == CONNECTED:
            return zero_at(self.steps, self.walk(source), output.tensor, self.gradients)
        return state if isinstance(state, Cut) else without_influence(self, source, output)

    def _cut(self, output: Named, source: Named) -> Cut:
        if not carries(source.dtype):
            why = f"{source.name} is {source.dtype.name}: integers, truth values and text have no gradient."
            return Cut("not_floating", Step("", (), (), self._turned(source)), why=why)
        if not self.is_watched(source):
            return unwatched(self, source)
        late = watched_late(self, source)
        state = self.state(output, source)
        if late is not None or isinstance(state, Cut):
            return late or state  # type: ignore[return-value]
        if state == CONNECTED:
            return self._by_asking(source) or unread(self, source, output)
        return without_influence(self, source, output)

    def _turned(self, source: Named) -> Site:
        """Where integers are turned into floating numbers, as by an embedding; else where they are used first."""
        walk = self.walk(source)
        for step in self.steps:
            if any(walk.state(t) for t in step.inputs) and any(carries(t.dtype) for t in step.outputs) and step.site.layer:
                return step.site
        return self.place_of(source)

    def _by_asking(self, source: Named) -> Cut | None:
        """The first op whose results TensorFlow doesn't connect, where the walk alone found nothing."""
        walk = self.walk(source)
        for step in self.steps if self.gradients is not None else ():
            made = [t for t in step.outputs if walk.state(t) == CONNECTED and carries(t.dtype)]
            if made and all(self.gradients(t, [source.value])[0] is None for t in made):
                return Cut("custom_gradient" if step.rule or step.graph else "not_differentiable", step)
        return None

    def _answer(self, output: Named, source: Named, status: Status, cut: Cut) -> Connection:
        sites = [cut.step.site, *(step.site for step in reversed(cut.calls))]
        where = next((site.location for site in sites if site.location is not None), None)
        layer = next((site.layer for site in sites if site.layer), None)
        called = next((site.called for site in sites if site.called), None)
        op = cut.op or ((called or "").strip("_") if cut.cause == "left_tensorflow" else "") or cut.step.type or None
        trouble = Trouble(cut.cause, op or "", source.name, called, where, layer, bool(cut.flat))
        sentence = (ZERO_SENTENCES if cut.flat else SENTENCES)[cut.cause]
        why = cut.why or sentence.format(input=source.name, output=output.name, op=op or "this line")
        return Connection(
            output.name,
            source.name,
            status,
            cut.cause,
            op,
            None if where is None else str(where),
            cut.remedy or remedy(trouble),
            layer,
            "" if where is None else where.code,
            why,
        )


def _types(step: Step) -> list[str]:
    return [step.type] if step.graph is None else [op.type for op in _everywhere(step.graph)]


def _everywhere(graph: Any) -> list[Any]:
    found = []
    for operation in graph.get_operations():
        found += [operation, *(op for inner in called_graphs(operation) for op in _everywhere(inner))]
    return found
