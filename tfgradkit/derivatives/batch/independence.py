"""Whether the samples of a batch influence each other, found out once a trace.

The passes of a Jacobian run for all samples at once, and add up over the samples: right only as long as no
result of a sample depends on another sample. First the graph is screened
(:mod:`tfgradkit.analysis.batch_axis.analyse`), which proves it for most models and costs nothing afterwards. Where
it can't, a probe decides: the gradient of one sample's results by the other sample has to be zero.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import tensorflow as tf

from ...analysis.batch_axis.analyse import Screen, screened
from ...analysis.batch_axis.op_rules import Rows
from ...differentiable import Differentiable
from ...errors import BatchWarning, GradientError
from ...graph.interpret import added
from ...public import public
from ...sources.layer_results import layer_of
from ..options import Options
from ..problem import Problem, select
from ..pullback import Tensors
from .probe import ProbeResult, probe

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
        only_others: whether that is so in batches of other sizes than the one at hand alone.
    """

    status: Literal["proven", "probed", "coupled", "reduced", "unknown"]
    layer: str | None
    op: str | None
    text: str
    only_others: bool = field(default=False, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the samples are known to be independent."""
        return self.status in ("proven", "probed")

    def __str__(self) -> str:
        return self.text


def independent(problem: Problem, sample_arguments: Any) -> Problem:
    """``problem``, whose function is checked where it is first called, in a graph.

    Raises (from the function):
        GradientError: samples influence each other, or the result has no axis for them.
    """
    source, options = problem.source, problem.options
    assert source is not None

    def f(xs: Tensors, copies: Any) -> Tensors:
        if problem.first.done:
            return problem.f(xs, copies)
        call = replace(problem, copies=copies).call
        ys, found = check_independence(source, options, call, xs, sample_arguments)
        if found.status != "proven":
            refuse_coupled(found, problem.name)
            _warn(found, source, problem.name)
        return ys

    return replace(problem, f=f)


def check_whole_batch(problem: Problem, sample_arguments: Any) -> None:
    """Calls a function of variables once for the whole batch, before its derivatives are taken sample by sample.

    Where samples are coupled, the function of one sample is another function.

    Raises:
        GradientError: the samples are coupled.
    """
    source = problem.source
    assert source is not None
    options = by_arguments(problem.options, problem.arguments)
    xs = [x for x in select(source, options, problem.arguments).xs if x.dtype.is_floating]
    _, found = check_independence(source, options, lambda _: problem.call(problem.xs), xs, sample_arguments)
    refuse_coupled(found, problem.name)


class OnlyThisBatchError(GradientError):
    """The samples are independent in a batch of the size at hand, and not in others: each size is judged by itself."""


# Functions for which the warning has been given.
_warned: Any = weakref.WeakSet()


def _warn(found: BatchIndependence, source: Differentiable, name: str) -> None:
    """Says, once for a function, that nobody knows whether its samples influence each other."""
    if found.status != "unknown" or source.call in _warned:
        return
    _warned.add(source.call)
    text = (
        f"{name}: {found.text}. If samples influence each other, the derivative is wrong; batched=False gives all of it"
    )
    warnings.warn(text, BatchWarning, stacklevel=2)


def refuse_coupled(found: BatchIndependence, name: str) -> None:
    """Raises :class:`GradientError` where samples influence each other, or the result has no axis for them."""
    if found.status in ("coupled", "reduced"):
        raise (OnlyThisBatchError if found.only_others else GradientError)(
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


# AutoGraph in a user's tf.function would otherwise rewrite the screen, and run it ten times as long.
@tf.autograph.experimental.do_not_convert
def check_independence(
    source: Differentiable,
    options: Options,
    f: Callable[[Tensors], Tensors],
    xs: Tensors,
    sample_arguments: Any,
) -> tuple[Tensors, BatchIndependence]:
    """``f(xs)`` in the current graph, and whether its samples are independent.

    Args:
        source, options: the function, and what is differentiated by what, for the probe.
        f: the same as a function of xs.
        xs: tensors whose first axis counts the samples.
        sample_arguments: arguments for the probe.
    """
    ys, operations = added(f, xs)
    screen = screened(operations, list(map(_here, xs)), ys)
    proven = not screen.suspects
    for y in ys:
        state = screen.value(y)
        proven = proven and (state == Rows(0) or (state is None and y.shape.rank != 0))
    if proven:
        return ys, BatchIndependence("proven", None, None, "the samples are independent: every op keeps them apart")
    return ys, _probed(source, options, screen, ys, sample_arguments, bool(xs) and xs[0].shape[0] is not None)


_EAGER = type(tf.constant(0.0))


def _here(x: tf.Tensor) -> tf.Tensor:
    """An eager tensor, or one of an outer graph, as the ops of this graph see it."""
    graph = tf.compat.v1.get_default_graph()
    foreign = isinstance(x, _EAGER) or getattr(x, "graph", None) is not graph
    return graph.capture(x) if foreign and hasattr(graph, "capture") else x


def _probed(
    source: Differentiable,
    options: Options,
    screen: Screen,
    ys: Sequence[tf.Tensor],
    sample_arguments: Any,
    fixed: bool,
) -> BatchIndependence:
    """The verdict of a probe, where the graph proves nothing."""
    if any(y.shape.rank == 0 for y in ys):
        return _named("reduced", source, screen, "makes one result of all samples")
    finding = probe(source, options, sample_arguments, fixed=fixed)
    if finding.status == "coupled":
        return _named("coupled", source, screen, f"mixes samples: {finding.text}")
    if finding.status == "reduced":
        found = _named("reduced", source, screen, f"is where the samples end: {finding.text}")
        return replace(found, only_others=finding.own)
    if finding.status == "independent":
        return BatchIndependence("probed", None, None, f"the samples are independent, as a probe says: {finding.text}")
    if screen.mixes:
        return _named("coupled", source, screen, f"mixes samples, and a probe was not possible: {finding.text}")
    return _undecided(source, screen, finding)


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
