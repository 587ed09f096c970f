"""A batch of points for a C function, on one thread or cut into parts for several.

It is cut at multiples of the tile, so that each point is computed by the same program at the same
place of it, and no result depends on how many threads there are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .function import Function
from .memory import Workspaces, address_of
from .threads import on_threads

# What a thread should have to do, in seconds: several times what waking it takes.
_WORTH = 1e-4
# Parts a thread, so that one that is held up leaves its share to the others.
_PARTS = 4
# The longest part, in seconds: Python looks for Ctrl-C between two.
_LONGEST = 0.05


@dataclass(frozen=True)
class Batch:
    """The arrays of one call; an output of None is not written."""

    function: Function
    workspaces: Workspaces
    points: int
    inputs: Sequence[np.ndarray]
    outputs: Sequence[np.ndarray | None]

    def evaluate(self, threads: int) -> int:
        """Runs it on at most so many threads; the status, with the bits of all parts."""
        function, tile = self.function, self.function.tile
        run = self._part()
        if threads == 1 or stays_alone(function, self.points):
            return run(0, self.points)
        statuses, first = [], 0
        if function.seconds is None:
            statuses, first = [run(0, tile)], tile
        left = self.points - first
        seconds = left * (function.seconds or 0.0)
        threads = max(1, min(threads, -(-left // tile), int(seconds / _WORTH)))
        pieces = max(1 if threads == 1 else threads * _PARTS, int(seconds / _LONGEST))
        size = -(-left // (pieces * tile)) * tile
        parts = deque((start, min(size, self.points - start)) for start in range(first, self.points, size))
        return _combined(statuses + on_threads(run, parts, threads))

    def _part(self) -> Callable[[int, int], int]:
        """The function over ``count`` points from the ``first`` on. Holds the arrays: it may outlive the call."""
        function, workspaces = self.function, self.workspaces
        ports = (*function.inputs, *function.outputs)
        starts = [None if array is None else address_of(array) for array in (*self.inputs, *self.outputs)]
        arrays = [(p, port.point_bytes) for p, port in zip(starts, ports, strict=True)]

        def run(first: int, count: int, _alive: object = self) -> int:
            own = [None if p is None else p + first * size for p, size in arrays]
            start = time.perf_counter()
            status = function.call(workspaces.address, count, *own)
            if count >= function.tile:
                seconds = (time.perf_counter() - start) / count
                function.seconds = min(seconds, function.seconds or seconds)
            return status

        return run


def stays_alone(function: Function, points: int) -> bool:
    """Whether so few points are not worth a second thread."""
    return points < 2 * function.tile or (function.seconds is not None and points * function.seconds < 2 * _WORTH)


def _combined(statuses: Sequence[int]) -> int:
    """A failure where there is one, else all bits."""
    worst, bits = min(statuses), 0
    for status in statuses:
        bits |= status
    return worst if worst < 0 else bits
