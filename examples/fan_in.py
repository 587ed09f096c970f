#!/usr/bin/env python3
"""A gradient in parts, for a model of many branches: less memory, the same numbers.

    python examples/fan_in.py [--branches 48] [--samples 4096] [--width 256]

Every branch has its own input and weights; what they compute is combined, and a head makes the loss of it. The gradient
of the whole keeps the intermediate results of all branches. By the chain rule it comes in parts as well: first the
branches' results, of which nothing else is kept; then the head's ``vjp``, which gives d(loss)/dy for every branch; then
branch after branch, evaluated once more, its ``vjp`` with that as ``output_gradients``.
"""

from __future__ import annotations

import argparse
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

import numpy as np
import tensorflow as tf

import tfgradkit as tgk

LAYERS = 6


def branch(x: tf.Tensor, weights: list[tf.Tensor]) -> tf.Tensor:
    """A few layers: [samples, width] to [samples, width]."""
    for w in weights:
        x = tf.tanh(x @ w)
    return tf.reduce_mean(tf.reshape(x, [x.shape[0] // 8, 8, -1]), 1)


def head(ys: list[tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
    """The loss."""
    return tf.reduce_mean(tf.tanh(tf.add_n(ys) @ weights) ** 2)


def whole(xs: list[tf.Tensor], branches: list[list[tf.Tensor]], last: tf.Tensor) -> Callable[[], Any]:
    """The gradient by all weights at once."""

    def loss(branches: list[list[tf.Tensor]], last: tf.Tensor) -> tf.Tensor:
        return head([branch(x, weights) for x, weights in zip(xs, branches, strict=True)], last)

    gradient = tgk.gradient(loss, argnums=(0, 1))
    return lambda: gradient(branches, last)


def parts(xs: list[tf.Tensor], branches: list[list[tf.Tensor]], last: tf.Tensor) -> Callable[[], Any]:
    """The same, branch by branch."""
    forward = tf.function(branch)
    of_head = tgk.vjp(head, argnums=(0, 1))
    of_branch = tgk.vjp(branch, argnums=1)

    def gradient() -> Any:
        ys = [forward(x, weights) for x, weights in zip(xs, branches, strict=True)]
        by_ys, by_last = of_head(ys, last, output_gradients=1.0)
        by_branches = [
            of_branch(x, weights, output_gradients=u) for x, weights, u in zip(xs, branches, by_ys, strict=True)
        ]
        return by_branches, by_last

    return gradient


def resident() -> int:
    """Bytes of the process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def watched(call: Callable[[], Any]) -> tuple[list[np.ndarray], int]:
    """The results of a call, and the most memory that the process had meanwhile."""
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, resident())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    results = [g.numpy() for g in tf.nest.flatten(call())]
    done.set()
    watcher.join()
    return results, peak


def problem(branches: int, samples: int, width: int) -> tuple[Any, Any, Any]:
    """Inputs of the branches, their weights, and the head's."""
    random = np.random.default_rng(0)

    def normal(*shape: int) -> tf.Tensor:
        return tf.constant(random.normal(size=shape) * width**-0.5, tf.float32)

    xs = [normal(samples, width) for _ in range(branches)]
    return xs, [[normal(width, width) for _ in range(LAYERS)] for _ in xs], normal(width, 1)


def run(branches: int, samples: int, width: int) -> dict[str, Any]:
    """What the process grows by at most, either way, in megabytes, and the largest difference of the gradients."""
    for way in (parts, whole):
        way(*problem(2, 8, width))()  # TensorFlow sets itself up
    given = problem(branches, samples, width)
    before, found, peaks = resident(), [], {}
    # What a process had once TensorFlow keeps for later, so the way that needs less comes first.
    for way in (parts, whole):
        results, peak = watched(way(*given))
        found.append(results)
        peaks[way.__name__] = (peak - before) >> 20
    largest = max(np.abs(g).max() for g in found[1])
    difference = max(np.abs(a - b).max() for a, b in zip(*found, strict=True))
    return {**peaks, "difference": float(difference / largest)}


def main() -> None:
    """Prints what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--branches", type=int, default=48)
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--width", type=int, default=256)
    found = run(**vars(parser.parse_args()))
    print(f"peak growth of the process, the whole at once: {found['whole']} MB; in parts: {found['parts']} MB")
    print(f"largest difference of the gradients, relative to the largest: {found['difference']:.1e}")


if __name__ == "__main__":
    main()
