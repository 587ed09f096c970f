#!/usr/bin/env python3
"""Sparse Jacobians against dense ones: milliseconds a call after the first, and seconds of detection.

    python benchmarks/sparse.py [--rounds 20] [--docs]

The median over the rounds, with the smallest and the largest. A dense Jacobian of 10,000 by 10,000 is
not tried.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "operators" / "sparse.md"

import keras
import numpy as np
import tensorflow as tf

import tfgradkit as tgk
from tfgradkit.derivatives.sparse import pattern


def bratu(u: tf.Tensor) -> tf.Tensor:
    """A second difference and an exponential: three diagonals."""
    wide = tf.pad(u, [[1, 1]])
    return (wide[2:] - 2 * u + wide[:-2]) * float(u.shape[0] + 1) ** 2 + tf.exp(u)


def convolutions(size: int) -> keras.Model:
    """Three layers of 16 channels, then one: nine diagonals."""
    layers = [keras.layers.Conv1D(16, 3, padding="same", activation="tanh") for _ in range(3)]
    return keras.Sequential([keras.Input((size, 1)), *layers, keras.layers.Conv1D(1, 3, padding="same")])


def images(size: int) -> keras.Model:
    """Two layers of 8 channels, then one, on a grid: 49 diagonals."""
    layers = [keras.layers.Conv2D(8, 3, padding="same", activation="silu") for _ in range(2)]
    return keras.Sequential([keras.Input((size, size, 1)), *layers, keras.layers.Conv2D(1, 3, padding="same")])


CASES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "Bratu, 1,000": (lambda: bratu, (1000,)),
    "4 Conv1D, 1,000": (lambda: convolutions(1000), (1, 1000, 1)),
    "Bratu, 10,000": (lambda: bratu, (10000,)),
    "4 Conv1D, 10,000": (lambda: convolutions(10000), (1, 10000, 1)),
    "3 Conv2D, 100 × 100": (lambda: images(100), (1, 100, 100, 1)),
}


def detection(f: Any, x: tf.Tensor) -> tuple[Any, float]:
    """A sparse Jacobian that was called once, and the seconds that its pattern took."""
    seconds = []
    detected = pattern.detected

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        found = detected(*arguments)
        seconds.append(time.perf_counter() - start)
        return found

    derivative = tgk.sparse_jacobian(f)
    with mock.patch.object(pattern, "detected", timed):
        derivative(x)
    return derivative, seconds[0]


def milliseconds(call: Callable[[], Any], rounds: int) -> list[float]:
    """What each of the rounds took."""
    call()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - start))
    return found


def shown(times: list[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(times):.3g} ({min(times):.3g}–{max(times):.3g})"


def row(name: str, rounds: int) -> str:
    """One line of the table."""
    make, shape = CASES[name]
    f, x = make(), tf.constant(np.random.default_rng(0).uniform(size=shape), tf.float32)
    derivative, seconds = detection(f, x)
    sparse = milliseconds(lambda: derivative(x), rounds)
    dense, ratio = "–", "–"
    if x.shape.num_elements() <= 1000:
        dense_jacobian = tgk.jacobian(f)
        times = milliseconds(lambda: dense_jacobian(x), max(5, rounds // 2))
        dense, ratio = shown(times), f"{statistics.median(times) / statistics.median(sparse):.0f}"
    step = derivative.plan.steps[-1]
    return f"| {name} | {step.pattern.nnz:,} | {step.colours} | {seconds:.2f} | {shown(sparse)} | {dense} | {ratio} |"


def main() -> None:
    """Measures, prints, and writes where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--docs", action="store_true", help=f"write the table into {DOCS.relative_to(ROOT)}")
    options = parser.parse_args()
    head = ["| | entries | colours | detection, s | sparse, ms | dense, ms | ratio |", "|---|---|---|---|---|---|---|"]
    table = "\n".join(head + [row(name, options.rounds) for name in CASES])
    print(table)
    if options.docs:
        pattern = r"(<!-- benchmark -->\n).*?(<!-- /benchmark -->)"
        DOCS.write_text(re.sub(pattern, rf"\g<1>{table}\n\g<2>", DOCS.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
