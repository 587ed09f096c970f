#!/usr/bin/env python3
"""A process for each framework, so that its threads and memory are its own: python worker.py GROUP CASE FOLDER.

Says on its standard output, in JSON a line, which ways it has; then reads "[way, n]" and answers with
microseconds a call, the median of the repetitions, or with why there are none.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "helpers")]

import numpy as np

# What all calls of a measurement should take, and the longest that one may, in seconds.
SPAN, LONGEST = 0.05, 20.0

Answers = Callable[..., dict[str, Any]]


def measure(call: Callable[[np.ndarray], Any], x: np.ndarray) -> float:
    """Microseconds a call."""
    call(x)
    call(x)
    start = time.perf_counter()
    call(x)
    once = time.perf_counter() - start
    number = max(1, int(SPAN / 5 / (once + 1e-7)))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(number):
            call(x)
        times.append((time.perf_counter() - start) / number)
        if sum(times) * number > LONGEST:
            break
    return 1e6 * statistics.median(times)


def serve(begin: Callable[[], tuple[Any, Answers]]) -> None:
    """Says what there is to ask for, by ``begin``, and answers until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the frameworks print is no answer
    try:
        ways, answered = begin()
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        return
    print(json.dumps({"ways": ways}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = answered(*json.loads(line))
        except Exception as error:  # whatever a framework raises, the others are still measured
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Serves one case."""
    group, name, folder = sys.argv[1:]

    def begin() -> tuple[list[str], Answers]:
        from cases import CASES
        from frameworks import GROUPS

        case = next(case for case in CASES if case.name == name)
        ways = GROUPS[group](case, Path(folder))
        return list(ways), lambda way, n: {"time": measure(ways[way], case.points(n))}

    serve(begin)


if __name__ == "__main__":
    main()
