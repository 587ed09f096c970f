#!/usr/bin/env python3
"""By how much a process grows at most while it computes one Jacobian: python operator_memory.py WAY.

Of a network of 1,000 inputs and as many outputs, for 64 samples: the result has 256 MB (10⁶ bytes). Prints
megabytes (2²⁰ bytes), tracing included. Without WAY, the names of the ways.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from operator_cases import Case, keras_model

CASE = Case("memory", "1000-512-512-1000", "jacobian", (1000, 512, 512, 1000), (1000,), (64,))
LIMIT = 256 << 20
WAYS = ('`chunk_size="auto"`, `memory_limit=256 << 20`', "`tgk.jacobian`", "`tape.batch_jacobian` in `tf.function`")


def call_of(way: str) -> Callable[[Any], Any]:
    """The Jacobian as a function of a tensor."""
    import tensorflow as tf
    from operator_tapes import tapes

    import tfgradkit as tgk

    model = keras_model(CASE)
    if way == WAYS[0]:
        return tgk.jacobian(model, chunk_size="auto", memory_limit=LIMIT)
    if way == WAYS[1]:
        return tgk.jacobian(model)
    return tf.function(tapes(CASE, model)["`tape.batch_jacobian`"], autograph=False)


def resident() -> int:
    """Bytes of the process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(call: Callable[[], Any]) -> int:
    """The most that ``resident`` is above its start during a call."""
    before, peak, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, resident())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    done.set()
    watcher.join()
    return peak - before


def main() -> None:
    """Measures one way."""
    import tensorflow as tf

    x = tf.constant(CASE.points(64))
    call = call_of(sys.argv[1])
    print(growth(lambda: call(x)) >> 20)


if __name__ == "__main__":
    main()
