"""``graph_summary``: the ops of a function, counted before and after simplification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...derivatives.failures.foreign_errors import translating
from ...public import public
from .call_paths import everything_below, place_of, result_of
from .graph_view import GraphView
from .simplify import Simplified, simplified

# Ops that compute nothing: arguments, and ops that stand for a value or a call.
_PLUMBING = frozenset(
    {"Placeholder", "Const", "Identity", "IdentityN", "ReadVariableOp", "Variable", "VariableV2", "VarHandleOp"}
)


@public("types")
@dataclass(frozen=True)
class GraphSummary:
    """Ops of a function, counted; ``str()`` is a table for people.

    Attributes:
        name: of the function.
        before, after: how many there are of each op type, the most frequent first: of those that the results
            are made of, in called functions, too.
        constants: results that depend on no argument, by name; batched, of one sample.
        outputs: names of all results.
        batched: whether ``constants`` are those of each sample.
        flops: of the matrix products for one sample, before and after; None where a size is not known.
        instructions: what XLA leaves for one sample; None where it can't compile the function.
    """

    name: str
    before: dict[str, int]
    after: dict[str, int]
    constants: dict[str, np.ndarray] = field(repr=False)
    outputs: tuple[str, ...]
    batched: bool
    flops: tuple[int, int] | None
    instructions: int | None

    @property
    def is_constant(self) -> bool:
        """Whether no result depends on an argument, so that no computation is left."""
        return len(self.constants) == len(self.outputs)

    def __str__(self) -> str:
        return "\n".join([self.name, *_table(self), *_facts(self), *_constants(self)])


@translating
def graph_summary(fn: Any, *specs: Any, batched: bool | None = None, training: bool = False) -> GraphSummary:
    """Op counts of a function, or of a derivative, before and after :func:`simplify`.

    Args:
        fn: what every operator takes, a ``Derivative``, or a TensorFlow 1 graph from :func:`tfgradkit.load`.
        specs: a ``tf.TensorSpec``, or a value, for each argument; none for those of the function itself. A seed
            (``output_gradients``, ``tangents``) comes last.
        batched: whether the first axis counts samples; None for the rule of each kind of function.
        training: what Keras layers are told.

    Returns:
        A :class:`~tfgradkit.types.GraphSummary`: ``.before`` and ``.after`` by op type, ``.constants``, ``.flops``;
        ``print`` it for a table.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: no specs, for a function without its own, or wrong ones.
        GraphError: TensorFlow can't freeze or optimize it; or the results differ, as those of random numbers do.

    Example:
        >>> found = tgk.graph_summary(lambda x: x * (tf.constant(1.0) + 2.0), tf.TensorSpec([2]))
        >>> found.before["AddV2"], found.after.get("AddV2", 0)
        (1, 0)
    """
    return summarized(simplified(fn, *specs, batched=batched, training=training))


def summarized(simple: Simplified) -> GraphSummary:
    """The summary of a function that is simplified already."""
    seen, constants = simple.seen, simple.constants
    return GraphSummary(
        name=seen.source.name,
        before=_counts(seen.graph, len(seen.outputs)),
        after=_counts(simple.concrete.graph, len(simple.concrete.outputs)),
        constants={seen.output_names[i]: _of_one_sample(value, seen) for i, value in sorted(constants.values.items())},
        outputs=seen.output_names,
        batched=seen.source.batched,
        flops=constants.flops,
        instructions=constants.instructions,
    )


def _of_one_sample(value: np.ndarray, seen: GraphView) -> np.ndarray:
    return value[0] if seen.source.batched and value.ndim else value


def _counts(graph: Any, results: int) -> dict[str, int]:
    starts = [place_of(result_of(graph, i), None) for i in range(results)]
    return dict(Counter(op for place in everything_below(*starts) for op in place.types).most_common())


def _table(summary: GraphSummary) -> list[str]:
    types = [*summary.before, *(op for op in summary.after if op not in summary.before)]
    types.sort(key=lambda op: (op in _PLUMBING, -summary.before.get(op, 0)))
    rows = [(op, summary.before.get(op, 0), summary.after.get(op, 0)) for op in types]
    total = ("total", sum(summary.before.values()), sum(summary.after.values()))
    width = max(len(op) for op, _, _ in [*rows, total])
    lines = [f"{op:<{width}}  {before:>6,}  {after:>6,}" for op, before, after in [*rows, total]]
    return [f"{'op':<{width}}  before   after", *lines]


def _facts(summary: GraphSummary) -> list[str]:
    sample = " for one sample" if summary.batched else ""
    lines = []
    if summary.flops is not None and any(summary.flops):
        before, after = summary.flops
        lines.append(f"matrix products{sample}: {before:,} flops before, {after:,} after")
    if summary.instructions is not None:
        lines.append(f"XLA leaves {summary.instructions:,} instruction{'s' * (summary.instructions != 1)}{sample}")
    return lines


def _constants(summary: GraphSummary) -> Iterable[str]:
    each = ", for every sample" if summary.batched else ""
    for name, value in summary.constants.items():
        what = "it" if len(summary.outputs) == 1 else name
        yield f"{what} is constant{each}:"
        yield np.array2string(value, precision=8, threshold=60, max_line_width=78)
    if summary.is_constant:
        rest = ": what remains hands it to each sample" if summary.batched else ""
        yield f"no computation is left{rest}"
