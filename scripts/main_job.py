"""The main job, step by step, with a short account of each. Started by scripts/run."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import tfgradkit as tgk
from tfgradkit.cli.console import import_tensorflow
from tfgradkit.export.native.compile.toolchain import find_toolchain

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
STATES = "10000"
RANGE = ([660.0, 1.0], [1100.0, 500.0])


def account(text: str) -> None:
    """A line of the account, at once."""
    print(text, flush=True)


def table() -> tuple[np.ndarray, np.ndarray]:
    """States and CoolProp's values and derivatives there."""
    with (ROOT / "saved_models" / "water_eos.csv").open() as file:
        rows = np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
    return rows[:, :2], rows[:, 2:]


def check_against_table(model: object) -> None:
    """Values and derivatives in Python against the reference, in percent of their ranges."""
    states, expected = table()
    y, jacobian = tgk.value_and_jacobian(model)(states)
    got = np.concatenate([y.numpy(), jacobian.numpy().reshape(-1, 4)], 1)
    errors = 100 * np.abs(got - expected).max(0) / np.ptp(expected, axis=0)
    account(f"   {len(states)} states of CoolProp's: largest error, in percent of the range:")
    names = ("p", "u", "dp/dT", "dp/drho", "du/dT", "du/drho")
    account("   " + "  ".join(f"{name} {error:.3f}" for name, error in zip(names, errors, strict=True)))
    if errors[:2].max() > 0.5 or errors[2:].max() > 2:
        sys.exit("the model disagrees with the table")


def flash(library: Path) -> None:
    """Compiles examples/flash.c against the library alone, and runs it."""
    program = BUILD / "flash"
    command = [
        *find_toolchain().cc,
        "-O2",
        f"-I{library / 'include'}",
        str(ROOT / "examples" / "flash.c"),
        str(library / "lib" / "libeos.a"),
    ]
    subprocess.run([*command, "-lm", "-o", str(program)], check=True)
    done = subprocess.run([str(program), STATES], capture_output=True, text=True, check=False)
    account("   " + done.stdout.strip().replace("\n", "\n   "))
    if done.returncode != 0:
        sys.exit(done.stderr or "flash failed")


def main() -> None:
    """All steps; ends with an error at the first that fails."""
    import_tensorflow()
    BUILD.mkdir(exist_ok=True)
    for name in ("water_saved_model", "eos"):
        shutil.rmtree(BUILD / name, ignore_errors=True)
    account("1. saved_models/water_eos.keras: (T, rho) -> (p, u) of water, a Keras model")
    model = tgk.load(ROOT / "saved_models" / "water_eos.keras")
    account("2. value and exact Jacobian in Python")
    check_against_table(model)
    account("3. SavedModel with the signatures value, jacobian and vjp -> build/water_saved_model")
    tgk.export_saved_model(model, BUILD / "water_saved_model", ("jacobian", "vjp"))
    account("4. C library with the same -> build/eos")
    start = time.perf_counter()
    library = tgk.export_native(model, BUILD / "eos", "eos", ("jacobian", "vjp"), ranges={"x": RANGE})
    size = (BUILD / "eos" / library.metadata["files"]["shared"]).stat().st_size
    worst = max(library.metadata["achieved_error"].values())
    account(f"   {time.perf_counter() - start:.0f} s; libeos.so {size / 1000:.0f} kB")
    account(f"   largest relative error against TensorFlow {worst:.1e}")
    account(f"5. examples/flash.c, linked with that library alone: (T, rho) from (p, u) at {STATES} states")
    flash(BUILD / "eos")


if __name__ == "__main__":
    main()
