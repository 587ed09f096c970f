"""A batch of points for a C function, on one thread or cut into parts for several; all libraries share the threads.

A batch is cut at multiples of the tile, so that the same program computes each point at the same place of a tile, and
no result depends on the number of threads.
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
from .c_function import CFunction
from .ports import Workspaces, address_of

_MAX_THREADS = 256
# The least work for a thread, in seconds: several times the time that waking it takes.
_WORTH = 1e-4
# Parts a thread, so that a thread that is held up leaves its share to the others.
_PARTS_A_THREAD = 4
# The longest part, in seconds: Python looks for Ctrl-C between two parts.
_LONGEST_PART = 0.05
_pool: ThreadPoolExecutor | None = None


@dataclass(frozen=True)
class Batch:
    """The arrays of one call; an output of None is not written."""

    function: CFunction
    workspaces: Workspaces
    points: int
    inputs: Sequence[np.ndarray]
    outputs: Sequence[np.ndarray | None]

    def evaluate(self, threads: int) -> int:
        """The status of a run on at most ``threads`` threads, with the bits of all parts."""
        function, tile = self.function, self.function.tile
        run = self._part_runner()
        if threads == 1 or one_thread_suffices(function, self.points):
            return run(0, self.points)
        statuses, first = [], 0
        if function.seconds is None:
            statuses, first = [run(0, tile)], tile
        left = self.points - first
        seconds = left * (function.seconds or 0.0)
        threads = max(1, min(threads, -(-left // tile), int(seconds / _WORTH)))
        pieces = max(1 if threads == 1 else threads * _PARTS_A_THREAD, int(seconds / _LONGEST_PART))
        size = -(-left // (pieces * tile)) * tile
        parts = deque((start, min(size, self.points - start)) for start in range(first, self.points, size))
        return _combine(statuses + run_on_threads(run, parts, threads))

    def _part_runner(self) -> Callable[[int, int], int]:
        """Runs ``count`` points from the ``first`` on. Holds the arrays, as a thread may outlive the call."""
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


def one_thread_suffices(function: CFunction, points: int) -> bool:
    """Whether there are too few points for a second thread."""
    return points < 2 * function.tile or (function.seconds is not None and points * function.seconds < 2 * _WORTH)


def _combine(statuses: Sequence[int]) -> int:
    """The worst failure where there is one, else the bits of all statuses."""
    worst, bits = min(statuses), 0
    for status in statuses:
        bits |= status
    return worst if worst < 0 else bits


def count_threads(threads: Any) -> int:
    """``threads`` as a number; None and "all" stand for the processors that this process may use.

    Raises:
        SignatureError: not None, "all" or a positive integer.
    """
    if threads is None or (isinstance(threads, str) and threads == "all"):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(TypeError):
        if (count := operator.index(threads)) > 0:
            return min(count, _MAX_THREADS)
    raise SignatureError("no such number of threads", expected='a positive integer, or "all"', got=repr(threads))


def run_on_threads(run: Callable[[int, int], int], parts: deque[tuple[int, int]], threads: int) -> list[int]:
    """The results of ``run`` for each of ``parts``, on this thread and ``threads`` - 1 others."""
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
        parts.clear()  # after an error or Ctrl-C no thread begins another part
        for helper in helpers:
            if not helper.cancel():
                helper.result()
    return results


def _start(work: Callable[[], None], count: int) -> list[Future[None]]:
    """``work`` on up to ``count`` threads; the pool starts a new thread only where none is idle."""
    global _pool
    _pool = _pool or ThreadPoolExecutor(_MAX_THREADS, "tfgradkit")
    started: list[Future[None]] = []
    try:
        for _ in range(count):
            started.append(_pool.submit(work))
    except RuntimeError:  # no thread can be started, or the interpreter is about to end: the started ones must do
        pass
    return started


def _forget_pool() -> None:
    """In a forked child: it has the pool, but none of its threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
