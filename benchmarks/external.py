#!/usr/bin/env python3
"""A wrapped NumPy function against the bare call: microseconds a call, and calls of the function a batch.

    python benchmarks/external.py [--rounds 20] [--readme]

Each cell is the smallest of the interleaved rounds, and how much that is above the bare call; a derivative is compared
with the bare calls that it makes. ``tf.numpy_function`` is TensorFlow's own way, which has no derivative;
``tf.function`` of nothing is what any call of a graph costs.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf
from machine import described

import tfgradkit as tgk

README = Path(__file__).resolve().parent.parent / "README.md"
BATCHES = (1, 32, 1024)
INPUTS, OUTPUTS = 4, 2
_MIX = np.random.default_rng(0).normal(size=(INPUTS, OUTPUTS))
_SPEC = tf.TensorSpec([None, OUTPUTS], tf.float64)
# Calls a timing, so that the clock's own time is none of it.
_LOOPS = 50

Call = Callable[[], Any]


def bare(x: np.ndarray) -> np.ndarray:
    """A cheap function, whose own time hides no overhead."""
    return np.asarray(np.sin(x) @ _MIX)


def jacobian(x: np.ndarray) -> np.ndarray:
    """Its Jacobian, ``[B, 2, 4]``."""
    return np.asarray(np.cos(x)[:, None, :] * _MIX.T)


def moved(x: np.ndarray) -> np.ndarray:
    """As many points as central differences need."""
    return np.repeat(x, 2 * INPUTS, 0)


def ways(batch: int) -> dict[str, tuple[Call, Call, Any]]:
    """By name: the call, the bare calls in it, and the wrapped function that counts them."""
    array = np.random.default_rng(batch).normal(size=(batch, INPUTS))
    x, many = tf.constant(array), moved(array)
    exact = tgk.wrap_external(bare, _SPEC, derivative=jacobian, name="exact")
    differences = tgk.wrap_external(bare, _SPEC, derivative="finite-difference", name="differences")
    plain = tf.function(lambda x: tf.numpy_function(bare, [x], tf.float64), autograph=False)
    nothing, graph = tf.function(tf.identity, autograph=False), tf.function(exact, autograph=False)
    by_rule, by_differences = tgk.value_and_jacobian(exact), tgk.value_and_jacobian(differences)

    def once() -> Any:
        return bare(array)

    def both() -> Any:
        return bare(array), jacobian(array)

    def all_points() -> Any:
        return bare(array), bare(many)

    return {
        "`tf.function` of nothing": (lambda: nothing(x), lambda: None, None),
        "`tf.numpy_function`, eager": (lambda: tf.numpy_function(bare, [x], tf.float64), once, None),
        "`tf.numpy_function` in `tf.function`": (lambda: plain(x), once, None),
        "wrapped, eager": (lambda: exact(x), once, exact),
        "wrapped, in `tf.function`": (lambda: graph(x), once, exact),
        "`value_and_jacobian`, Jacobian given": (lambda: by_rule(x), both, exact),
        "`value_and_jacobian`, finite differences": (lambda: by_differences(x), all_points, differences),
    }


def microseconds(call: Call) -> float:
    """One call, of some."""
    start = time.perf_counter()
    for _ in range(_LOOPS):
        call()
    return 1e6 * (time.perf_counter() - start) / _LOOPS


def measured(batch: int, rounds: int) -> dict[str, tuple[float, float, int | None]]:
    """By way: microseconds of the call and of the bare ones, and calls of the function."""
    todo, found = ways(batch), {}
    counts = {}
    for name, (call, _, external) in todo.items():
        call()  # traced, and the step is chosen
        before = external.calls if external else 0
        call()
        counts[name] = external.calls - before if external else None
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in todo}
    for _ in range(rounds):
        for name, (call, inside, _) in todo.items():
            times[name].append((microseconds(call), microseconds(inside)))
    for name, pairs in times.items():
        found[name] = (min(a for a, _ in pairs), min(b for _, b in pairs), counts[name])
    return found


def table(rounds: int) -> tuple[str, float]:
    """The table, and the worst overhead of a wrapped value at batch 1."""
    columns = {batch: measured(batch, rounds) for batch in BATCHES}
    lines = [
        "| µs a call, above the bare calls | " + " | ".join(f"batch {b:,}" for b in BATCHES) + " | calls a batch |",
        "|---|" + "---|" * len(BATCHES) + "---|",
    ]
    for name in columns[BATCHES[0]]:
        cells = [f"{column[name][0]:.0f}, +{column[name][0] - column[name][1]:.0f}" for column in columns.values()]
        counts = {column[name][2] for column in columns.values()}
        shown = "–" if counts == {None} else ", ".join(str(c) for c in sorted(c for c in counts if c is not None))
        lines.append(f"| {name} | {' | '.join(cells)} | {shown} |")
    return "\n".join(lines), worst(columns[1])


def worst(times: dict[str, tuple[float, float, int | None]]) -> float:
    """The largest overhead of a wrapped value; in a ``tf.function`` without what that costs by itself."""
    nothing = times["`tf.function` of nothing"][0]
    eager, graph = (times[name] for name in ("wrapped, eager", "wrapped, in `tf.function`"))
    return max(eager[0] - eager[1], graph[0] - graph[1] - nothing)


def main() -> None:
    """Measures, prints, and writes where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    rows, overhead = table(options.rounds)
    text = (
        f"{rows}\n\nA wrapped call at batch 1 over the bare call, and over `tf.function` of nothing in one: at most "
        f"{overhead:.0f} µs (to reach: 100). {described()}; the smallest of {options.rounds} interleaved rounds."
    )
    print(text)
    if options.readme:
        pattern = r"(<!-- external -->\n).*?(<!-- /external -->)"
        written, count = re.subn(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", README.read_text(), flags=re.DOTALL)
        if not count:
            raise SystemExit("README.md has no <!-- external --> and <!-- /external --> to write between")
        README.write_text(written)


if __name__ == "__main__":
    main()
