#!/usr/bin/env python3
"""Values and derivatives of some models, by every way there is: one table from one run.

    python benchmarks/native.py [--rounds 5] [--case mlp] [--points 1 1024] [--readme]

Each cell is the median over interleaved rounds of the microseconds a point takes, with the smallest
and largest round; the ratio is to our C library. Every framework has a process of its own, on
all cores; the C programs and the rows that say so are on one. TensorFlow's C API runs the very graph that
our library was compiled from. C by hand is by_hand.cpp. JAX and PyTorch are measured where they are installed
(``pip install -e ".[native,bench]"`` has JAX). What a way computes is compared where it hands its results on.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "helpers")]

from cases import CASES, Case, dense_layers
from programs import Timer, by_hand, c_library, peaks, tensorflow_c
from table import OURS, Results, machine, table
from workers import Worker

import tfgradkit as tgk
from tfgradkit.cli.console import import_tensorflow

COUNTS = (1, 32, 1024, 100_000)
FROZEN = "TensorFlow's C API, the same frozen graph"
# A call of TensorFlow's vectorized loop keeps every intermediate result of every seed.
CUT = {
    ("energy", "`tf.function` with `batch_jacobian`", 100_000): "its intermediate results would fill gigabytes",
    ("energy", "the same with XLA", 100_000): "its intermediate results would fill gigabytes",
    ("energy", "`tgk.value_gradient_and_hessian`", 100_000): "its intermediate results would fill gigabytes",
    ("energy", FROZEN, 100_000): "its intermediate results would fill gigabytes",
}


def run(case: Case, rounds: int, counts: tuple[int, ...], work: Path) -> Results:
    """Measures one case by all ways."""
    model = case.make()
    layers = dense_layers(model)
    library = tgk.export_native(model, work / case.name, case.name, (case.kind,))
    size = (library.path / library.metadata["files"]["shared"]).stat().st_size
    groups = [("ours", False), ("tensorflow", False), ("jax", False), ("jax", True), ("torch", False), ("torch", True)]
    workers = [Worker(group, case, library.path, work / "log", one_core=one) for group, one in groups]
    hand = by_hand(case, library, work, layers)
    timers: dict[str, Timer] = {OURS: c_library(case, library, work)}
    timers |= {"C++ by hand": hand} if hand else {}
    timers |= workers[0].timers()
    possible = tuple(n for n in counts if (case.name, FROZEN, n) not in CUT)
    timers[FROZEN] = tensorflow_c(case, model, work, possible)
    for worker in workers[1:]:
        timers |= worker.timers()
    results = Results(case, case.flops(layers), size)
    speeds = peaks(work, case.dtype)
    for _ in range(rounds):
        for name, speed in speeds.items():
            results.peaks.setdefault(name, []).append(speed())
        for name, timer in timers.items():
            for n in counts:
                measure(results, name, timer, n)
    for worker in workers:
        worker.close()
    return results


def measure(results: Results, name: str, timer: Timer, n: int) -> None:
    """One cell of one round; a way that fails is left out, and said."""
    times = results.times.setdefault(name, {}).setdefault(n, [])
    if reason := CUT.get((results.case.name, name, n)):
        results.cut[name, n] = reason
    if (name, n) in results.cut:
        return
    try:
        times.append(timer(n) / n)
    except RuntimeError as error:
        results.cut[name, n] = f"{name} fails with {n} points"
        print(f"{results.case.name}, {name}, {n} points: {error}", file=sys.stderr)


def main() -> None:
    """Exports, measures, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--points", type=int, nargs="+", default=COUNTS, help="how many a call")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    arguments = parser.parse_args()
    import_tensorflow()
    counts, results = tuple(arguments.points), []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if not arguments.case or case.name in arguments.case:
                results.append(run(case, arguments.rounds, counts, Path(folder)))
                print(table(results[-1:], counts), file=sys.stderr)
    text = f"{table(results, counts)}\n\n{machine(results, arguments.rounds)}"
    print(text)
    if arguments.readme:
        readme = ROOT / "README.md"
        pattern = r"(<!-- benchmark -->\n).*?(<!-- /benchmark -->)"
        readme.write_text(re.sub(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", readme.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
