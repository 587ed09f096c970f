"""The threads that all libraries share.

A batch of points for a C function, on one thread or cut into parts for several.

It is cut at multiples of the tile, so that each point is computed by the same program at the same
place of it, and no result depends on how many threads there are.
"""

from __future__ import annotations

import operator
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import SignatureError
from .c_function import Function
from .ports import Workspaces, address_of

_MOST = 256

_pool: ThreadPoolExecutor | None = None


def count_threads(threads: Any) -> int:
    """``threads`` as a number: None and "all" are the processors that this process may use.

    Raises:
        SignatureError: neither that nor a positive integer.
    """
    if threads is None or (isinstance(threads, str) and threads == "all"):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(TypeError):
        if (count := operator.index(threads)) > 0:
            return min(count, _MOST)
    raise SignatureError("no such number of threads", expected='a positive integer, or "all"', got=repr(threads))


def on_threads(run: Callable[[int, int], int], parts: deque[tuple[int, int]], threads: int) -> list[int]:
    """``run`` of each of ``parts``, by this thread and ``threads`` - 1 others; what it returned."""
    results: list[int] = []

    def work() -> None:
        while parts:
            try:
                part = parts.popleft()
            except IndexError:  # another thread took the last one
                return
            results.append(run(*part))

    helpers = _start(work, threads - 1)
    try:
        work()
    finally:
        parts.clear()  # after an error or Ctrl-C nobody begins another part
        for helper in helpers:
            if not helper.cancel():
                helper.result()
    return results


def _start(work: Callable[[], None], count: int) -> list[Future[None]]:
    """``work`` on up to ``count`` threads; the pool starts one only where none is idle."""
    global _pool
    _pool = _pool or ThreadPoolExecutor(_MOST, "tfgradkit")
    started: list[Future[None]] = []
    try:
        for _ in range(count):
            started.append(_pool.submit(work))
    except RuntimeError:  # no thread can be started, or the interpreter is about to end: those that are must do
        pass
    return started


def _forget() -> None:
    """A forked child has the pool, but none of its threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


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
