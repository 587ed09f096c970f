#!/usr/bin/env python3
"""A framework for operators.py in a process of its own, for all cases: python operator_worker.py GROUP CASE...

Says which ways it has for each case; then reads "[case, way, n]" and answers with microseconds a call and, as a check,
norm and sum of the results.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from operator_cases import CASES
from worker import Answers, serve

# What the calls of a measurement should take, in seconds.
SPAN = 0.03


def measure(call: Callable[[], Any]) -> tuple[float, Any]:
    """Microseconds a call: of one, where one takes longer than ``SPAN``, else the median of three repetitions."""
    once, result = _seconds(call, 1)
    if once > SPAN:
        return 1e6 * once, result
    number = max(1, int(SPAN / 3 / once))
    return 1e6 * statistics.median(_seconds(call, number)[0] for _ in range(3)), result


def _seconds(call: Callable[[], Any], number: int) -> tuple[float, Any]:
    start = time.perf_counter()
    for _ in range(number):
        result = call()
    return (time.perf_counter() - start) / number, result


def main() -> None:
    """Serves."""
    group, *names = sys.argv[1:]

    def begin() -> tuple[dict[str, list[str]], Answers]:
        from operator_ways import GROUPS

        ways = {name: GROUPS[group](CASES[name]) for name in names}
        calls: dict[tuple[str, str, int], Callable[[], np.ndarray]] = {}

        def answer(name: str, way: str, n: int) -> dict[str, Any]:
            key = name, way, n
            if key not in calls:
                prepared = ways[name][way](CASES[name].points(n))
                prepared()  # traces and compiles
                calls[key] = prepared
            taken, result = measure(calls[key])
            wide = np.asarray(result, np.float64)
            return {"time": taken, "check": [float(np.linalg.norm(wide)), float(wide.sum())]}

        return {name: list(found) for name, found in ways.items()}, answer

    serve(begin)


if __name__ == "__main__":
    main()
