#!/usr/bin/env python3
"""What XLA's flags for matrix products are worth: the times of one library a shape of block.

    python benchmarks/blocks.py [--target x86-64-v3] [--dtype float32] [--rounds 9] [SHAPE ...]

A SHAPE is m:k:n, rows × depth × columns in vectors; "-" is XLA's own choice. The model is that of
benchmarks/native.py. Prints microseconds a point of value and Jacobian, the shortest over rounds
that take turns, at 1 and at 1024 points. For whoever changes ``tfgradkit/export/native/compile/targets.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

import models  # type: ignore[import-not-found]  # of the tests
import numpy as np

import tfgradkit as tgk
from tfgradkit.cli.console import import_tensorflow
from tfgradkit.export.native import export_native
from tfgradkit.export.native.compile import targets

POINTS = (1, 1024)
SHAPES = ("-", "11:9:1", "6:9:2", "6:64:2", "4:64:2", "4:64:3", "12:64:1", "12:64:2", "8:64:2", "24:64:1")


def library(model: Any, target: targets.Target, shape: str, folder: Path) -> tgk.NativeLibrary:
    """The model's library with another shape of block."""
    chosen = replace(target, block="" if shape == "-" else shape)
    export_native.choose_targets = lambda names: (chosen,)
    return tgk.export_native(model, folder, "mlp", ("jacobian",), tile=8)


def seconds(library: tgk.NativeLibrary, x: np.ndarray) -> float:
    """Of a call; many calls where it is short."""
    count = max(1, 2000 // len(x))
    start = time.perf_counter()
    for _ in range(count):
        library.value_and_jacobian(x)
    return (time.perf_counter() - start) / count


def main() -> None:
    """Exports all shapes, then measures in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shapes", nargs="*", default=SHAPES)
    parser.add_argument("--target", default=targets.choose_targets(("host",))[-1].name)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    import_tensorflow()
    (target,) = targets.choose_targets((arguments.target,))
    model = models.build(models.mlp(), arguments.dtype)
    inputs = [np.random.default_rng(0).uniform(-1, 1, (n, 6)).astype(arguments.dtype) for n in POINTS]
    with tempfile.TemporaryDirectory() as work:
        made = {shape: library(model, target, shape, Path(work) / str(i)) for i, shape in enumerate(arguments.shapes)}
        best = {(shape, len(x)): float("inf") for shape in made for x in inputs}
        for _ in range(arguments.rounds):
            for shape, each in made.items():
                for x in inputs:
                    best[shape, len(x)] = min(best[shape, len(x)], seconds(each, x) / len(x))
    print(f"{target.name}, {targets.processor_name()}: microseconds a point at {POINTS} points, from Python")
    for shape in made:
        print(f"{shape:>10}" + "".join(f"{1e6 * best[shape, n]:9.3f}" for n in POINTS))


if __name__ == "__main__":
    main()
