"""Folding the ops of a graph into boxes, as few as a picture has room for.

Ops of one layer and one phase share a box. A box must not depend on itself through another box. So each op has a rank,
one higher than the ranks of inputs of another kind, and a box holds ops of one kind and rank: every line between boxes
leads from a lower rank to a higher one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from .drawn_graph import Op, Ops, Phase

# Ops of no layer share a box within so many levels of the graph, times the coarseness.
_DEPTH = 4


@dataclass(frozen=True)
class Box:
    """Some ops, drawn as one box.

    Attributes:
        title, subtitle: its two lines.
        phase: of its ops; "forward" where they differ.
        counts: op types with their counts, most frequent first.
        inside: how many ops are in called functions.
    """

    title: str
    subtitle: str
    phase: Phase
    counts: dict[str, int]
    inside: int = 0

    @property
    def size(self) -> int:
        """The number of its ops, without the ops of called functions."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Folded:
    """Boxes in topological order, and the lines between them as pairs of positions."""

    boxes: tuple[Box, ...]
    lines: tuple[tuple[int, int], ...]

    @property
    def is_whole(self) -> bool:
        """Whether every op has a box of its own."""
        return all(box.size <= 1 for box in self.boxes)


def fold(ops: Ops, limit: int) -> Folded:
    """The finest folding with at most ``limit`` boxes, beside inputs and results."""
    if len(ops.drawn) <= limit:
        return _folded(ops, {op.name: (position,) for position, op in enumerate(ops.drawn)})
    depth = _ranks(ops, {op.name: op.name for op in ops.drawn})
    order = {layer: i for i, layer in enumerate(dict.fromkeys(op.layer for op in ops.drawn if op.layer))}
    coarseness = 1
    while True:
        kinds = {op.name: _kind(op, order, depth, coarseness) for op in ops.drawn}
        ranks = _ranks(ops, kinds)
        groups: dict[str, Hashable] = {name: (kinds[name], ranks[name]) for name in kinds}
        ends = sum(op.phase in ("input", "output") for op in ops.drawn)
        if len(set(groups.values())) - ends <= limit:
            return _folded(ops, groups)
        if coarseness > len(ops.drawn):
            return _folded(ops, _by_rank(ops, kinds, ranks, limit))
        coarseness *= 2


def _kind(op: Op, order: Mapping[str, int], depth: Mapping[str, int], coarseness: int) -> Hashable:
    if op.phase in ("input", "output"):
        return op.phase, op.name
    if op.layer:
        return op.phase, "layer", order[op.layer] // coarseness
    return op.phase, "depth", depth[op.name] // (_DEPTH * coarseness)


def _ranks(ops: Ops, kinds: Mapping[str, Hashable]) -> dict[str, int]:
    before: dict[str, list[str]] = {op.name: [] for op in ops.drawn}
    for source, target in ops.edges:
        before[target].append(source)
    ranks: dict[str, int] = {}
    for op in ops.drawn:
        # A loop's back edge comes from an op that has no rank yet.
        known = [name for name in before[op.name] if name in ranks]
        ranks[op.name] = max((ranks[n] + (kinds[n] != kinds[op.name]) for n in known), default=0)
    return ranks


def _by_rank(ops: Ops, kinds: Mapping[str, Hashable], ranks: Mapping[str, int], limit: int) -> dict[str, Hashable]:
    """Groups of neighbouring ranks, whatever the kind: the last resort."""
    width = -(-(max(ranks.values()) + 1) // limit)
    ends = {op.name for op in ops.drawn if op.phase in ("input", "output")}
    return {name: kinds[name] if name in ends else ranks[name] // width for name in ranks}


def _folded(ops: Ops, groups: Mapping[str, Hashable]) -> Folded:
    members: dict[Hashable, list[Op]] = {}
    for op in ops.drawn:
        members.setdefault(groups[op.name], []).append(op)
    number = {group: i for i, group in enumerate(members)}
    lines = {(number[groups[a]], number[groups[b]]): None for a, b in ops.edges if groups[a] != groups[b]}
    return Folded(tuple(_box(group) for group in members.values()), tuple(lines))


def _box(ops: Sequence[Op]) -> Box:
    counts = dict(Counter(op.type for op in ops).most_common())
    inside = sum(op.inside for op in ops)
    phases = {op.phase for op in ops}
    phase: Phase = phases.pop() if len(phases) == 1 else "forward"
    if len(ops) == 1:
        (op,) = ops
        more = f"{inside:,} ops inside" if inside else ""
        return Box(op.type, ", ".join(text for text in (op.layer, more) if text), phase, counts, inside)
    layers = list(dict.fromkeys(op.layer for op in ops if op.layer))
    title = " … ".join(dict.fromkeys([layers[0], layers[-1]])) if layers else _types(counts)
    return Box(title, f"{_phase(phase)}{len(ops) + inside:,} ops", phase, counts, inside)


def _types(counts: Mapping[str, int]) -> str:
    named = list(counts)[:2]
    return ", ".join(named) + (" …" if len(counts) > len(named) else "")


def _phase(phase: Phase) -> str:
    return "gradient, " if phase == "gradient" else ""
