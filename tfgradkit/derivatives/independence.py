"""Whether the samples of a batch influence each other, found out once a trace.

The passes of a Jacobian run for all samples at once, and add up over the samples: right only as long as no
result of a sample depends on another sample. First the graph is screened
(:mod:`tfgradkit.analysis.batch_axis.analyse`), which proves it for most models and costs nothing afterwards. Where
it can't, a probe decides: the gradient of one sample's results by the other sample has to be zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import tensorflow as tf

from ..analysis.batch_axis.analyse import Screen, screened
from ..analysis.batch_axis.op_rules import Rows
from ..differentiable import Differentiable
from ..errors import GradientError
from ..graph.dependence import added
from ..public import public
from ..sources.layer_results import layer_of
from .choices import Options
from .primitives import Tensors
from .probe import ProbeResult, probe
from .selection import Selection

_ADVICE = (
    "batched=False gives the full Jacobian, samples by samples; training=False makes batch normalization "
    "use its stored moments"
)


@public("types")
@dataclass(frozen=True)
class BatchIndependence:
    """Whether the samples of a batch are independent, and how that is known.

    Attributes:
        status: "proven" from the graph; "probed", found so in numbers; "coupled"; "reduced" where the result
            has no axis for the samples; "unknown" where neither graph nor probe could tell.
        layer: the layer that mixes the samples, or the op's name where it is in none.
        op: the type of that op.
        text: all of that in a sentence.
    """

    status: Literal["proven", "probed", "coupled", "reduced", "unknown"]
    layer: str | None
    op: str | None
    text: str

    @property
    def ok(self) -> bool:
        """Whether the samples are known to be independent."""
        return self.status in ("proven", "probed")

    def __str__(self) -> str:
        return self.text


def independent(source: Differentiable, options: Options, selection: Selection, specimen: Any) -> Selection:
    """``selection``, whose function is checked where it is first called, in a graph.

    Raises (from the function):
        GradientError: samples influence each other, or the result has no axis for them.
    """

    done: list[bool] = []

    def f(xs: Tensors, copies: Any) -> Tensors:
        if done:
            return selection.f(xs, copies)
        done.append(True)
        ys, found = judged(source, options, lambda: selection.f(xs, copies), xs, specimen)
        refuse_coupled(found, source.name)
        return ys

    return replace(selection, f=f)


def refuse_coupled(found: BatchIndependence, name: str) -> None:
    """Raises :class:`GradientError` where samples influence each other, or the result has no axis for them."""
    if found.status in ("coupled", "reduced"):
        raise GradientError(
            "the samples of the batch influence each other, so there is no derivative for each of them"
            if found.status == "coupled"
            else "the result has no axis for the samples of the batch",
            subject=name,
            expected="a result whose first axis counts the samples, each made of its own sample alone",
            got=found.text,
            hint=_ADVICE,
        )


def by_arguments(options: Options, arguments: Sequence[Any]) -> Options:
    """The choices for the same function, differentiated by all of its floating arguments."""
    floating = [
        position
        for position, argument in enumerate(arguments)
        if all(isinstance(x, tf.Tensor) and x.dtype.is_floating for x in tf.nest.flatten(argument))
    ]
    return replace(options, wrt="inputs", argnums=tuple(floating) or 0)


def _here(x: tf.Tensor) -> tf.Tensor:
    """An eager tensor, or one of an outer graph, as the ops of this graph see it."""
    graph = tf.compat.v1.get_default_graph()
    foreign = getattr(x, "graph", None) is not graph if not isinstance(x, _EAGER) else True
    return graph.capture(x) if foreign and hasattr(graph, "capture") else x


_EAGER = type(tf.constant(0.0))


# AutoGraph in a user's tf.function would otherwise rewrite the screen, and run it ten times as long.
@tf.autograph.experimental.do_not_convert
def judged(
    source: Differentiable, options: Options, f: Callable[[], Tensors], xs: Tensors, specimen: Any
) -> tuple[Tensors, BatchIndependence]:
    """The results of ``f``, which is called in the current graph, and what is found of it.

    Args:
        source, options: the function, and what is differentiated by what, for the probe.
        f: the same at ``xs``.
        xs: tensors whose first axis counts the samples.
        specimen: arguments for the probe.
    """
    ys, operations = added(lambda _: f(), xs)
    screen = screened(operations, [_here(x) for x in xs], ys)
    return ys, _verdict(source, options, screen, ys, specimen)


def _verdict(
    source: Differentiable, options: Options, screen: Screen, ys: Sequence[tf.Tensor], specimen: Any
) -> BatchIndependence:
    if screen.suspect is None and all(_in_place(screen, y) for y in ys):
        return BatchIndependence("proven", None, None, "the samples are independent: every op keeps them apart")
    if any(y.shape.rank == 0 for y in ys):
        return _named("reduced", source, screen, "makes one result of all samples")
    finding = probe(source, options, specimen)
    if finding.verdict == "coupled":
        return _named("coupled", source, screen, f"mixes samples: {finding.text}")
    if finding.verdict == "reduced":
        return _named("reduced", source, screen, f"is where the samples end: {finding.text}")
    if finding.verdict == "independent":
        return BatchIndependence("probed", None, None, f"the samples are independent, as a probe says: {finding.text}")
    return _undecided(source, screen, finding)


def _in_place(screen: Screen, y: tf.Tensor) -> bool:
    state = screen.state(y)
    return state == Rows(0) or (state is None and y.shape.rank != 0)


def _named(status: Any, source: Differentiable, screen: Screen, does: str) -> BatchIndependence:
    op = screen.suspect
    if op is None:
        return BatchIndependence(status, None, None, f"{source.name} {does}")
    layer = layer_of(op.name, source.layer_names)
    place = f"op {op.type}" if layer == op.name else f"layer {layer}, op {op.type},"
    return BatchIndependence(status, layer, op.type, f"{place} {does}")


def _undecided(source: Differentiable, screen: Screen, finding: ProbeResult) -> BatchIndependence:
    named = _named("unknown", source, screen, "is not known to keep the samples apart")
    return replace(named, text=f"nobody knows: {named.text}, and the probe was skipped: {finding.text}")
