#!/usr/bin/env python3
"""Jacobians and second derivatives by our operators, by tapes, JAX and PyTorch: one table from one run.

    python benchmarks/operators.py [--rounds 5] [--case mlp-2-1-64] [--readme]

Each cell is the median over interleaved rounds of the microseconds a call takes, with the smallest and the
largest round, and its ratio to ours; samples are tensors of the framework before the call, traces and compilations are
done. Every framework has a process of its own, on all cores. JAX and PyTorch are measured where they are
installed (``pip install jax torch``). What everyone computes is compared.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
from machine import described
from operator_cases import CASES, JACOBIANS, MARKS, Case, reason_to_cut
from operator_marks import marks, summary
from operator_memory import WAYS as MEMORY_WAYS
from operator_table import Row, full, short
from process import HERE, Process

GROUPS = ("tensorflow", "jax", "torch")


def run(cases: list[Case], rounds: int, log: Path) -> list[Row]:
    """Measures the cases by all ways."""
    processes = [Process("operator_worker.py", [group, *(case.name for case in cases)], log) for group in GROUPS]
    for group, process in zip(GROUPS, processes, strict=True):
        if "ways" not in process.told:
            print(f"no {group}: {process.told.get('missing', log.read_text()[-500:])}", file=sys.stderr)
    rows = [Row(case, n) for case in cases for n in case.batches]
    start = time.perf_counter()
    for done in range(rounds):
        for row in rows:
            for process in processes:
                for way in process.told.get("ways", {}).get(row.case.name, ()):
                    measure(row, way, process)
        print(f"round {done + 1} of {rounds} done after {time.perf_counter() - start:.0f} s", file=sys.stderr)
    for process in processes:
        process.close()
    return rows


def measure(row: Row, way: str, process: Process) -> None:
    """One cell of one round; a way that fails is left out, and said."""
    if reason := reason_to_cut(row.case, way, row.n):
        row.cut[way] = reason
    if way in row.cut:
        return
    try:
        answer = process.ask(row.case.name, way, row.n)
    except RuntimeError as error:
        row.cut[way] = "fails: " + str(error).split("\n", 1)[0][:80]
        print(f"{row.case.name}, {way}, batch {row.n}: {error}", file=sys.stderr)
        return
    row.times.setdefault(way, []).append(answer["time"])
    row.check = row.check or answer["check"]
    norm = row.check[0]
    if not np.allclose(answer["check"], row.check, rtol=1e-3, atol=1e-3 * norm):
        raise SystemExit(f"{row.case.name}, {way}: norm and sum {answer['check']}, not {row.check}")


def memory() -> dict[str, int]:
    """Megabytes by which a process grows, by way."""
    program = [sys.executable, str(HERE / "operator_memory.py")]
    return {way: int(subprocess.run([*program, way], check=True, capture_output=True).stdout) for way in MEMORY_WAYS}


def main() -> None:
    """Measures, prints, and writes where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=[*CASES, "memory"])
    parser.add_argument("--readme", action="store_true", help="write the short table into README.md")
    arguments = parser.parse_args()
    wanted = arguments.case or [*CASES, "memory"]
    with tempfile.TemporaryDirectory() as folder:
        rows = run([CASES[name] for name in CASES if name in wanted], arguments.rounds, Path(folder) / "log")
    jacobians = [row for row in rows if row.case in JACOBIANS]
    seconds = [row for row in rows if row.case in MARKS]
    kinds = dict.fromkeys(row.case.kind for row in rows)
    told = [*summary(jacobians), *marks(seconds, memory() if "memory" in wanted else {})]
    machine = f"{described()}; {arguments.rounds} interleaved round{'s' * (arguments.rounds > 1)}."
    text = "\n".join([*([short(jacobians), ""] if jacobians else []), *(f"- {line}" for line in told), "", machine])
    print("\n\n".join([*(full([row for row in rows if row.case.kind == kind]) for kind in kinds), text]))
    if arguments.readme:
        readme = HERE.parent / "README.md"
        pattern = r"(<!-- operators -->\n).*?(<!-- /operators -->)"
        written, count = re.subn(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", readme.read_text(), flags=re.DOTALL)
        if not count:
            raise SystemExit("README.md has no <!-- operators --> and <!-- /operators --> to write between")
        readme.write_text(written)


if __name__ == "__main__":
    main()
