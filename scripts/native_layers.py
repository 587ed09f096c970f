#!/usr/bin/env python3
"""Exports every Keras layer to a C library, and writes docs/native_layers.md: what compiles, how exact, how fast.

    python scripts/native_layers.py [--kinds jacobian,vjp] [--only LSTM,Conv2D] [--page]

Results are kept in docs/native_layers.jsonl, a line for each layer, and replaced where a layer runs again; ``--page``
writes the page from them without measuring. The layers are those of tests/helpers/layer_cases.py, in float32.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "docs" / "native_layers.jsonl", ROOT / "docs" / "native_layers.md"
POINTS, SECONDS = 64, 0.3

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

HEAD = """# Keras layers as C libraries

Made by `scripts/native_layers.py`: each Keras layer alone, in float32, exported with its Jacobian, and compared with
the operator at {points} points on one core. Errors are relative to a component's largest magnitude; times are
microseconds a point for value and Jacobian together, of the C library on one thread, and of the operator compiled by
XLA on all cores. `—`: the layer can't be exported; the reason stands in its line. {measured} of the {all} cases were
measured so far.

| layer | error of the value | of the Jacobian | C library, µs | TensorFlow, µs | ratio |
|---|---|---|---|---|---|
"""


def measured(name: str, kinds: list[str]) -> dict[str, Any]:
    """One layer's line."""
    import keras
    import numpy as np
    from layer_cases import CASES  # type: ignore[import-not-found]  # of the tests
    from models import build  # type: ignore[import-not-found]  # of the tests

    import tfgradkit as tgk
    from tfgradkit.export.native.compile.targets import choose_targets

    case = CASES[name]

    def make() -> Any:
        inputs = [keras.Input(shape) for shape in case.shapes]
        return keras.Model(inputs if len(inputs) > 1 else inputs[0], case.make(*inputs))

    model = build(make, "float32")
    generator = np.random.default_rng(0)
    xs = [generator.uniform(case.low, case.high, (POINTS, *shape)).astype(np.float32) for shape in case.shapes]
    with tempfile.TemporaryDirectory() as folder:
        ranges = dict.fromkeys(_names(len(xs)), (case.low, case.high))
        begin = time.perf_counter()
        try:
            library = tgk.export_native(
                model, Path(folder) / "out", "layer", kinds, targets=[choose_targets(["host"])[-1].name], tile=8,
                input_names=list(ranges), ranges=ranges,
            )  # fmt: skip
        except tgk.errors.TfGradKitError as error:
            return {"layer": name, "refused": f"{error.what}: {error.got}"}
        export = time.perf_counter() - begin
        errors = library.verify()
        c = _shortest(lambda: library.call(kinds[0], *xs))
        compiled = tgk.value_and_jacobian(model, jit_compile=True)
        given = xs[0] if len(xs) == 1 else xs
        try:
            tensorflow = _shortest(lambda: compiled(given))
        except tgk.errors.TfGradKitError:
            tensorflow = None
    return {"layer": name, "export_s": export, "errors": errors, "c": c, "tensorflow": tensorflow}


def _names(count: int) -> list[str]:
    return ["x"] if count == 1 else [f"x{i}" for i in range(count)]


def _shortest(call: Callable[[], Any]) -> float:
    """Seconds a point, the shortest of some."""
    call()
    end = time.perf_counter() + SECONDS
    times: list[float] = []
    while time.perf_counter() < end or len(times) < 3:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times) / POINTS


def page(results: list[dict[str, Any]]) -> str:
    """The page of all results."""
    from layer_cases import CASES

    head = HEAD.format(points=POINTS, measured=len(results), all=len(CASES))
    return head + "".join(map(_row, results))


def _row(result: dict[str, Any]) -> str:
    if "refused" in result:
        return f"| {result['layer']} | — {result['refused']} | | | | |\n"
    errors = result["errors"]
    values = [error for name, error in errors.items() if name.startswith("value.")]
    others = [
        e for n, e in errors.items() if n.startswith("jacobian.") and f"value.{n.partition('.')[2]}" not in errors
    ]
    c, tensorflow = 1e6 * result["c"], result["tensorflow"]
    times = (
        f"{c:.3g} | — | " if tensorflow is None else f"{c:.3g} | {1e6 * tensorflow:.3g} | {1e6 * tensorflow / c:.2g} "
    )
    return f"| {result['layer']} | {max(values):.0e} | {max(others):.0e} | {times}|\n"


def main() -> None:
    """Measures, keeps and writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kinds", default="jacobian")
    parser.add_argument("--only", default="")
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    kept = {}
    if RESULTS.exists():
        kept = {line["layer"]: line for line in map(json.loads, RESULTS.read_text().splitlines())}
    if not arguments.page:
        from layer_cases import CASES

        for name in arguments.only.split(",") if arguments.only else CASES:
            kept[name] = measured(name, arguments.kinds.split(","))
            print(json.dumps(kept[name]), flush=True)
            RESULTS.write_text("".join(json.dumps(kept[name]) + "\n" for name in sorted(kept)))
    PAGE.write_text(page([kept[name] for name in sorted(kept)]))


if __name__ == "__main__":
    main()
