"""The block under a tape: its ops, the tensors that the tape watches, and how far the gradients of each source come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...graph.ops import everywhere
from ...graph.user_line import Location, Site
from ...op_gradients.registry import ABSENT, SHIPPED
from ..trace_ops.recording import Step
from .cut import Cut
from .explanation import Status
from .named_tensors import NamedTensor
from .reachability import CONNECTED, Cuts, Reach, Walk
from .seeded_gradients import Gradients
from .user_code.source_lines import SourceCode


@dataclass
class RecordedBlock:
    """Ops that ran, and the user's code around them.

    Attributes:
        steps: the ops.
        watched: ``ref()`` of each tensor that the tape watches, with the number of ops that ran before.
        code: the source of the block, where it can be read.
        lines: its first and last line.
        automatic: whether the tape watches trainable variables by itself.
        layer_names: of the layers whose scopes name ops in graphs.
        captured: in a graph, by ``ref()`` of a tensor from outside the tensor that stands for it inside.
        gradients: the tape's; None where there is no tape to ask.
    """

    steps: Sequence[Step]
    watched: Mapping[Any, int]
    code: SourceCode | None = None
    lines: tuple[int, int] | None = None
    automatic: bool = True
    layer_names: Sequence[str] = ()
    gradients: Gradients | None = None
    captured: Mapping[Any, Any] = field(default_factory=dict)
    _walks: dict[Any, Walk] = field(default_factory=dict)
    _cuts: Cuts = field(default_factory=dict)

    def static_status(self, output: NamedTensor, source: NamedTensor) -> Status:
        """The status by the ops alone, for where there is no tape to ask."""
        state = self.state(output, source)
        if isinstance(state, Cut) and state.fails:
            return "error"
        return "connected" if state == CONNECTED and self.is_watched(source) else "none"

    def walk(self, source: NamedTensor) -> Walk:
        """The walk forward from one source."""
        key = source.tensor.ref()
        if key not in self._walks:
            start: dict[Any, Reach] = {tensor.ref(): CONNECTED for tensor in self.starts(source)}
            self._walks[key] = Walk(start, self.layer_names, self._cuts)
            self._walks[key].run(self.steps)
        return self._walks[key]

    def starts(self, source: NamedTensor) -> list[Any]:
        """The source's tensor; for a variable also its values that were read without an op."""
        if source.variable is None or self.gradients is None:
            inside = self.captured.get(source.tensor.ref())
            return [source.tensor, *([inside] if inside is not None else [])]
        gradients = self.gradients
        results = {tensor.ref() for step in self.steps for tensor in step.outputs}
        entering = {t.ref(): t for step in self.steps for t in step.inputs if t.ref() not in results}
        alike = [t for t in entering.values() if t.dtype == source.dtype and t.shape == source.variable.shape]
        return [source.tensor, *(t for t in alike if gradients(t, [source.value])[0] is not None)]

    def state(self, output: NamedTensor, source: NamedTensor) -> Reach:
        """How far the source's gradient and influence come at the output."""
        return self.walk(source).value(output.tensor)

    def is_watched(self, source: NamedTensor) -> bool:
        """Whether the tape watches the source, or an op of the block makes it."""
        return source.tensor.ref() in self.watched or self.made(source.tensor)

    def made(self, tensor: Any) -> bool:
        """Whether an op of the block makes a tensor."""
        return any(result is tensor for step in self.steps for result in step.outputs)

    def first_use(self, source: NamedTensor) -> int | None:
        """The number of the first op that takes the source."""
        keys = {tensor.ref() for tensor in self.starts(source)}
        return next((i for i, step in enumerate(self.steps) if any(t.ref() in keys for t in step.inputs)), None)

    def place_of(self, source: NamedTensor) -> Site:
        """Where the source is used first, else where the block begins."""
        first = self.first_use(source)
        site = Site() if first is None else self.steps[first].site
        start = self.code.location if self.code else None
        return site if site.location else Site(start, site.layer or source.layer)

    def line(self, question: Callable[[SourceCode], Any]) -> Location | None:
        """The line that answers a question about the source code; None where there is no answer."""
        if self.code is None:
            return None
        answer = question(self.code)
        return None if answer is None else Location(answer.file or self.code.location.file, answer.line)

    def uses_shipped(self) -> bool:
        """Whether there is an op that has a gradient from tfgradkit alone."""
        added = {kind for kind, shipped in SHIPPED.items() if shipped.replaces is ABSENT}
        return bool(added) and any(kind in added for step in self.steps for kind in _op_types(step))


def _op_types(step: Step) -> list[str]:
    return [step.type] if step.graph is None else [op.type for op in everywhere(step.graph.get_operations())]
