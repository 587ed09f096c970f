"""Places for the boxes of a directed graph: in layers, with few crossings and straight lines.

The steps of K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of hierarchical system structures",
IEEE Trans. SMC 11 (1981): turn back edges round, assign each box to a layer, give long lines a stop in every layer on
their way, order each layer by the barycentres of its neighbours, and place the boxes close to their neighbours and at
least a distance apart (an isotonic regression, by pooling adjacent violators: M. Ayer et al., Ann. Math. Statist. 26,
1955).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

Edge = tuple[int, int]
_SWEEPS = 12
_STOP = 12.0  # width of a line's stop


@dataclass(frozen=True)
class Layout:
    """The places of boxes and lines.

    Attributes:
        places: for each box its centre, (x, y).
        paths: for each edge the points on its line, from the source's centre to the target's.
        width, height: of the whole picture; no box is outside.
    """

    places: tuple[tuple[float, float], ...]
    paths: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    height: float


def place(widths: Sequence[float], edges: Sequence[Edge], *, row: float, gap: float) -> Layout:
    """Places for boxes of the given widths.

    Args:
        widths: of the boxes.
        edges: pairs of positions; a cycle is drawn with a line going up.
        row: the distance between layers, centre to centre.
        gap: the distance between neighbours in a layer.
    """
    if not widths:
        return Layout((), (), 0.0, 0.0)
    downward = _downward(len(widths), edges)
    layers = _layers(len(widths), downward)
    sizes, chains, links, layers = _with_stops(widths, downward, layers)
    rows = _ordered(layers, links)
    xs = _coordinates(rows, links, sizes, gap)
    left = min(x - size / 2 for x, size in zip(xs, sizes, strict=True))
    right = max(x + size / 2 for x, size in zip(xs, sizes, strict=True))
    centres = [(x - left, layer * row + row / 2) for x, layer in zip(xs, layers, strict=True)]
    paths = []
    for edge, drawn, chain in zip(edges, downward, chains, strict=True):
        points = tuple(centres[node] for node in chain)
        paths.append(points if edge == drawn else points[::-1])
    return Layout(tuple(centres[: len(widths)]), tuple(paths), right - left, (max(layers) + 1) * row)


def _downward(count: int, edges: Sequence[Edge]) -> list[Edge]:
    """The edges; an edge that closes a cycle is turned round (depth-first, without recursion)."""
    after: dict[int, list[int]] = {node: [] for node in range(count)}
    for source, target in edges:
        after[source].append(target)
    state = [0] * count  # 1: on the current path, 2: done
    back: set[Edge] = set()
    for root in range(count):
        path = [(root, iter(after[root]))] if state[root] == 0 else []
        while path:
            node, targets = path[-1]
            state[node] = 1
            target = next(targets, -1)
            if target < 0:
                state[node] = 2
                path.pop()
            elif state[target] == 1:
                back.add((node, target))
            elif state[target] == 0:
                path.append((target, iter(after[target])))
    return [(b, a) if (a, b) in back else (a, b) for a, b in edges]


def _layers(count: int, edges: Sequence[Edge]) -> list[int]:
    """The longest path to each box; a box without inputs then moves down to the layer above its first user."""
    before: dict[int, list[int]] = {node: [] for node in range(count)}
    after: dict[int, list[int]] = {node: [] for node in range(count)}
    for source, target in edges:
        if source != target:
            before[target].append(source)
            after[source].append(target)
    missing = [len(before[node]) for node in range(count)]
    ready = [node for node in range(count) if not missing[node]]
    layers = [0] * count
    for node in ready:
        for target in after[node]:
            layers[target] = max(layers[target], layers[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for node in range(count):
        if not before[node] and after[node]:
            layers[node] = min(layers[target] for target in after[node]) - 1
    return layers


def _with_stops(
    widths: Sequence[float], edges: Sequence[Edge], layers: Sequence[int]
) -> tuple[list[float], list[list[int]], list[Edge], list[int]]:
    """Boxes and stops: their sizes, the chain of each edge, the links of all chains, and the layers."""
    sizes, levels = list(widths), list(layers)
    chains, links = [], []
    for source, target in edges:
        chain = [source]
        for level in range(layers[source] + 1, layers[target]):
            chain.append(len(sizes))
            sizes.append(_STOP)
            levels.append(level)
        chain.append(target)
        chains.append(chain)
        links += list(itertools.pairwise(chain))
    return sizes, chains, links, levels


def _neighbours(count: int, links: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        if source != target:
            above[target].append(source)
            below[source].append(target)
    return above, below


def _ordered(layers: Sequence[int], links: Sequence[Edge]) -> list[list[int]]:
    """Each layer's boxes from left to right, in the order with the fewest crossings over several sweeps."""
    above, below = _neighbours(len(layers), links)
    rows: list[list[int]] = [[] for _ in range(max(layers) + 1)]
    for node, layer in enumerate(layers):
        rows[layer].append(node)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for beside, row in itertools.pairwise(rows if down else rows[::-1]):
            _sort(row, beside, near)
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _sort(row: list[int], beside: Sequence[int], near: Sequence[Sequence[int]]) -> None:
    """Orders a row by the mean position of each box's neighbours in the row beside it, else by its own position."""
    position = {node: i for i, node in enumerate(beside)}
    own = {node: i for i, node in enumerate(row)}
    row.sort(key=lambda node: _mean([position[other] for other in near[node]], own[node]))


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    """The number of crossings of lines between neighbouring layers."""
    total = 0
    for upper, lower in itertools.pairwise(rows):
        position = {node: i for i, node in enumerate(lower)}
        ends = [sorted(position[m] for m in below[node] if m in position) for node in upper]
        passed: list[int] = []
        for own in ends:
            total += sum(other > end for end in own for other in passed)
            passed += own
    return total


def _coordinates(
    rows: Sequence[Sequence[int]], links: Sequence[Edge], sizes: Sequence[float], gap: float
) -> list[float]:
    above, below = _neighbours(len(sizes), links)
    xs = [0.0] * len(sizes)
    for row in rows:
        for node, x in zip(row, _apart([0.0] * len(row), row, sizes, gap), strict=True):
            xs[node] = x
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else rows[::-1]:
            near = above if down else below
            beside = [near[node] or above[node] + below[node] for node in row]
            wanted = [_mean([xs[m] for m in others], xs[node]) for node, others in zip(row, beside, strict=True)]
            for node, x in zip(row, _apart(wanted, row, sizes, gap), strict=True):
                xs[node] = x
    return xs


def _apart(wanted: Sequence[float], row: Sequence[int], sizes: Sequence[float], gap: float) -> list[float]:
    """The places nearest to ``wanted`` in the least squares sense that keep the order and the distances."""
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (sizes[left] + sizes[right]) / 2 + gap)
    pools: list[tuple[float, int]] = []  # mean and number of each pool
    for target, offset in zip(wanted, offsets, strict=False):
        mean, number = target - offset, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean, number = (mean * number + other * others) / (number + others), number + others
        pools.append((mean, number))
    means = [mean for mean, number in pools for _ in range(number)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
