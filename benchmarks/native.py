#!/usr/bin/env python3
"""Value and Jacobian of one model, by every way there is: one table from one run.

    python benchmarks/native.py [--rounds 5] [--readme]

The model is 6-64-64-6 with tanh, float32. Each cell is the median over interleaved rounds of the
microseconds a point takes, with the smallest and largest round; the ratio is to our C library.
TensorFlow's C API runs the very graph that our library was compiled from. JAX is measured where
it is installed.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

import clients
import models  # type: ignore[import-not-found]  # of the tests
import numpy as np

import tfgradkit as tgk
from tfgradkit.cli.quiet import import_tensorflow
from tfgradkit.export.toolchain import find_toolchain

POINTS = (1, 32, 1024)
OURS = "C library, from C"

Timer = Callable[[int], float]


def c_library(library: tgk.NativeLibrary, work: Path) -> Timer:
    """A C program that links the static library; microseconds a call."""
    program, folder = work / "bench", library.path
    command = [*find_toolchain().cc, "-O2", "-DNAME=mlp", "-DTYPE=float", "-DNX=6", "-DNY=6", f"-I{folder / 'include'}"]
    source = str(ROOT / "benchmarks" / "library_bench.c")
    clients.run([*command, source, str(folder / library.metadata["files"]["static"]), "-lm", "-o", str(program)])
    return lambda n: float(clients.run([str(program), str(n)]))


def tensorflow_c(model: Any, work: Path, *, tape: bool) -> Timer:
    """A frozen graph through TF_SessionRun; microseconds, the median of the calls.

    The graph that our library was compiled from, or with ``tape`` that of ``batch_jacobian``.
    """
    from tfgradkit.export.entries import describe
    from tfgradkit.export.freeze import freeze
    from tfgradkit.export.functions import argument_specs, exported
    from tfgradkit.export.specs import with_specs
    from tfgradkit.sources.resolve import resolve

    source = with_specs(resolve(model), None)
    (entry,) = describe(source, ("jacobian",))
    function = (
        (lambda x: dict(zip(("y", "jacobian"), batch_jacobian(model, x), strict=True)))
        if tape
        else exported(source, entry)
    )
    commands = {}
    for n in POINTS:
        frozen = freeze(function, argument_specs(entry, n))
        graph = work / f"frozen_{n}_{tape}.pb"
        graph.write_bytes(frozen.graph.SerializeToString())
        commands[n] = _client(
            work, graph, n, f"{frozen.inputs['x']}:0", [f"{frozen.outputs[name]}:0" for name in ("y", "jacobian")]
        )
    return lambda n: float(clients.run(commands[n]))


def tensorflow_c_saved_model(model: Any, work: Path) -> Timer:
    """Our SavedModel, with its variables and any batch size, through TF_SessionRun."""
    folder = work / "saved_model"
    tgk.export_saved_model(model, folder, ("jacobian",))
    signature = clients.signature_of(folder, "jacobian")
    results = [signature.outputs[name].name for name in ("y", "jacobian")]
    return lambda n: float(clients.run(_client(work, folder, n, signature.inputs["x"].name, results)))


def _client(work: Path, model: Path, n: int, tensor: str, results: list[str]) -> list[str]:
    outputs = [f"out:{result}:{work / 'result'}" for result in results]
    given = clients.input_argument(work, tensor, points(n))
    return [*clients.tensorflow_client(), str(model), str(max(50, 5000 // n)), given, *outputs]


def batch_jacobian(model: Any, x: Any) -> tuple[Any, Any]:
    """As it is written without tfgradkit."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    return y, tape.batch_jacobian(y, x)


def python_calls(call: Callable[[np.ndarray], Any], convert: Callable[[np.ndarray], Any] = lambda x: x) -> Timer:
    """A Python callable; microseconds a call."""

    def timer(n: int) -> float:
        x = convert(points(n))
        call(x)
        number = max(10, 500 // n)
        return 1e6 * min(timeit.repeat(lambda: call(x), number=number, repeat=5)) / number

    return timer


def tensorflow_function(model: Any, *, jit: bool) -> Timer:
    """``batch_jacobian`` in a ``tf.function``."""
    import tensorflow as tf

    call = tf.function(lambda x: batch_jacobian(model, x), jit_compile=jit)
    return python_calls(call, tf.constant)


def jax_function(model: Any, *, forward: bool) -> Timer | None:
    """``jit(vmap(jacrev))`` of the same weights; None without JAX."""
    try:
        import jax
    except ImportError:
        return None
    weights = [np.asarray(v) for v in model.weights]

    def network(x: Any) -> Any:
        for kernel, bias in zip(weights[0:4:2], weights[1:4:2], strict=True):
            x = jax.numpy.tanh(x @ kernel + bias)
        y = x @ weights[4] + weights[5]
        return y, y

    jacobian = (jax.jacfwd if forward else jax.jacrev)(network, has_aux=True)
    call = jax.jit(jax.vmap(jacobian))
    return python_calls(lambda x: jax.block_until_ready(call(x)))


def points(n: int) -> np.ndarray:
    """The same n points for everyone."""
    return np.random.default_rng(0).standard_normal((n, 6)).astype(np.float32)


def measure(timers: dict[str, Timer], rounds: int) -> dict[str, dict[int, list[float]]]:
    """Microseconds a point: by way, by number of points, a number for each round."""
    results: dict[str, dict[int, list[float]]] = {name: {n: [] for n in POINTS} for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            for n in POINTS:
                results[name][n].append(timer(n) / n)
    return results


def table(results: dict[str, dict[int, list[float]]]) -> str:
    """Markdown; medians with the smallest and largest round, and ratios to ours."""
    ours = {n: statistics.median(results[OURS][n]) for n in POINTS}
    rows = ["| µs a point | " + " | ".join(f"{n} point{'s' * (n > 1)}" for n in POINTS) + " |", "|---|---|---|---|"]
    for name, by_count in results.items():
        cells = []
        for n in POINTS:
            middle = statistics.median(by_count[n])
            spread = f"{min(by_count[n]):.3g}–{max(by_count[n]):.3g}"
            cells.append(f"{middle:.3g} ({spread}), ×{middle / ours[n]:.3g}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def machine() -> str:
    """Processor, cores and versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    import tensorflow as tf

    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, TensorFlow {tf.__version__}"


def main() -> None:
    """Exports, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    arguments = parser.parse_args()
    import_tensorflow()
    model = models.build(models.mlp(), "float32")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        library = tgk.export_native(model, work / "mlp", "mlp", ("jacobian",))
        size = (library.path / library.metadata["files"]["shared"]).stat().st_size
        timers: dict[str, Timer | None] = {
            OURS: c_library(library, work),
            "C library, `load_native` from Python": python_calls(library.value_and_jacobian),
            "TensorFlow's C API, the same frozen graph": tensorflow_c(model, work, tape=False),
            "TensorFlow's C API, frozen `batch_jacobian`": tensorflow_c(model, work, tape=True),
            "TensorFlow's C API, our SavedModel": tensorflow_c_saved_model(model, work),
            "`tgk.value_and_jacobian`": python_calls(tgk.value_and_jacobian(model)),
            "`tf.function` with `batch_jacobian`": tensorflow_function(model, jit=False),
            "the same with XLA": tensorflow_function(model, jit=True),
            "JAX `jit(vmap(jacrev))`": jax_function(model, forward=False),
            "JAX `jit(vmap(jacfwd))`": jax_function(model, forward=True),
        }
        results = measure({name: timer for name, timer in timers.items() if timer is not None}, arguments.rounds)
    text = (
        f"{table(results)}\n\n{machine()}; shared library {size / 1000:.0f} kB; {arguments.rounds} interleaved rounds."
    )
    print(text)
    if arguments.readme:
        readme = ROOT / "README.md"
        pattern = r"(<!-- benchmark -->\n).*?(<!-- /benchmark -->)"
        readme.write_text(re.sub(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", readme.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
