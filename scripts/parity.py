#!/usr/bin/env python3
"""Writes the README's table: how far the clients are from the recorded answers, on the shipped water model.

scripts/run && .venv/bin/python scripts/parity.py
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from clients import RESULTS, Arrays, in_c, in_ctypes, in_python, in_saved_model, in_tensorflow_c

from tfgradkit.cli.console import import_tensorflow
from tfgradkit.comparison import relative_error
from tfgradkit.native import load_native

ROOT = Path(__file__).resolve().parent.parent
LIBRARY, SAVED_MODEL = ROOT / "build" / "eos", ROOT / "build" / "water_saved_model"
MODEL = ROOT / "saved_models" / "water_eos.keras"
TOLERANCE = 1e-12


def compare(points: Arrays) -> dict[str, dict[str, float]]:
    """For each client, the largest error of y, jacobian and vjp, relative to the largest magnitude."""
    import tfgradkit as tgk

    answers = {
        "Python, `value_and_jacobian`, `vjp`": in_python(tgk.load(MODEL), points),
        "SavedModel, another Python process": in_saved_model(SAVED_MODEL, points),
        "SavedModel, TensorFlow's C API": in_tensorflow_c(SAVED_MODEL, points),
        "C library, a C program": in_c(LIBRARY, points),
        "C library, `load_native`": in_ctypes(LIBRARY, points),
    }
    return {
        client: {name: relative_error(np.ravel(got[name]), np.ravel(points[name])) for name in RESULTS}
        for client, got in answers.items()
    }


def main() -> int:
    """Compares, prints, writes; 1 where a client is off."""
    import_tensorflow()
    points = dict(np.load(LIBRARY / load_native(LIBRARY).metadata["files"]["vectors"]))
    errors = compare(points)
    rows = ["| client | y | jacobian | vjp |", "|---|---|---|---|"]
    rows += [f"| {client} | {' | '.join(f'{error:.1e}' for error in row.values())} |" for client, row in errors.items()]
    note = f"All within {TOLERANCE:g}. The first is zero on the machine that recorded the answers: they are its own."
    rows += ["", note]
    table = "\n".join(rows)
    print(table)
    if max(error for row in errors.values() for error in row.values()) > TOLERANCE:
        print(f"a client is off by more than {TOLERANCE:g}", file=sys.stderr)
        return 1
    readme = ROOT / "README.md"
    pattern = r"(<!-- parity -->\n).*?(<!-- /parity -->)"
    readme.write_text(re.sub(pattern, lambda m: f"{m[1]}{table}\n{m[2]}", readme.read_text(), flags=re.DOTALL))
    return 0


if __name__ == "__main__":
    sys.exit(main())
