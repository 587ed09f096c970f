#!/usr/bin/env python3
"""Peak memory and time of a gradient with checkpoints, against the plain model's and ``tf.recompute_grad``'s.

    python benchmarks/checkpoint.py [--docs]

A network of 8 blocks of 8 dense layers, 512 wide, float32, for 2,048 samples: each intermediate result has 4 MB. The
peak is by how much the process grows at most during the first call for them; each way has a process of its own, and
was called for a few samples before, so that tracing is not part of it. XLA compiles once more.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "custom_gradients.md"
sys.path.insert(0, str(ROOT))

from machine import described
from operator_memory import growth

BLOCKS, LAYERS, WIDTH, SAMPLES = 8, 8, 512, 2048
WAYS = ("plain", "`tf.recompute_grad`", "`tgk.checkpoint`")
HOWS = ("eager tape", "graph", "XLA", "second order, graph")


def blocks() -> tuple[list[Callable[[Any], Any]], list[Any]]:
    """Functions of a tensor, and their weights."""
    import tensorflow as tf

    weights = [
        [tf.Variable(tf.random.stateless_normal([WIDTH, WIDTH], [i, j]) / WIDTH**0.5) for j in range(LAYERS)]
        for i in range(BLOCKS)
    ]

    def block(mine: list[Any]) -> Callable[[Any], Any]:
        def call(x: Any) -> Any:
            for w in mine:
                x = tf.tanh(x @ w)
            return x

        return call

    return [block(mine) for mine in weights], [w for mine in weights for w in mine]


def gradient(way: str, how: str) -> Callable[[Any], Any]:
    """By the weights; of second order, the gradient of the squared gradient by x."""
    import tensorflow as tf

    import tfgradkit as tgk

    plain, weights = blocks()
    wrap = {WAYS[0]: lambda f: f, WAYS[1]: tf.recompute_grad, WAYS[2]: tgk.checkpoint}[way]
    chain = [wrap(block) for block in plain]

    def loss(x: Any) -> Any:
        for block in chain:
            x = block(x)
        return tf.reduce_sum(x**2)

    def first(x: Any) -> Any:
        with tf.GradientTape() as tape:
            y = loss(x)
        return tape.gradient(y, weights)

    def second(x: Any) -> Any:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = loss(x)
            z = tf.reduce_sum(tape.gradient(y, x) ** 2)
        return outer.gradient(z, weights)

    if how == HOWS[0]:
        return first
    return tf.function(
        second if how == HOWS[3] else first, autograph=False, jit_compile=how == HOWS[2], reduce_retracing=True
    )


def measure(way: str, how: str) -> dict[str, Any]:
    """Megabytes (2²⁰ bytes) of the first call, and seconds of the faster of two more."""
    import tensorflow as tf

    call, x = gradient(way, how), tf.random.stateless_normal([SAMPLES, WIDTH], [1, 2])
    norms: list[float] = []

    def once() -> None:
        norms.append(float(tf.linalg.global_norm(call(x))))

    try:
        for few in (8, 16):  # the second time a function is traced for any number of samples
            call(x[:few])
    except NotImplementedError:
        return {"refused": True}
    peak = growth(once)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - start)
    return {"norm": norms[0], "peak": peak >> 20, "seconds": min(seconds)}


def asked(way: str, how: str) -> dict[str, Any]:
    """The same from a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--way", way, "--how", how], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def table() -> str:
    """Markdown; a cell has megabytes and seconds."""
    rows = [f"| peak, MB; time, s | {' | '.join(HOWS)} |", f"|---|{'---|' * len(HOWS)}"]
    norms: dict[str, set[str]] = {how: set() for how in HOWS}
    for way in WAYS:
        cells = []
        for how in HOWS:
            found = asked(way, how)
            print(way, how, found, flush=True)
            if "refused" not in found:
                norms[how].add(f"{found['norm']:.4g}")
            cells.append("refused" if "refused" in found else f"{found['peak']}; {found['seconds']:.2f}")
        rows.append(f"| {way} | {' | '.join(cells)} |")
    assert all(len(found) == 1 for found in norms.values()), norms
    return "\n".join([*rows, "", f"{described()}."])


def main() -> None:
    """Measures, prints, and writes where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--docs", action="store_true", help=f"write the table into {DOCS.relative_to(ROOT)}")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--how", choices=HOWS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.how)))
        return
    text = table()
    print(text)
    if options.docs:
        pattern = r"(<!-- checkpoint -->\n).*?(<!-- /checkpoint -->)"
        DOCS.write_text(re.sub(pattern, rf"\g<1>{text}\n\g<2>", DOCS.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
