"""The threads that all libraries share."""

from __future__ import annotations

import operator
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ..errors import SignatureError

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
