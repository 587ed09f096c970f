"""The example that the main job ends with: a C program solves with the library, and converges quadratically."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise

import pytest

from tfgradkit.export.native.compile.toolchain import find_toolchain


@pytest.fixture(scope="module")
def flash(root, water_library, tmp_path_factory):
    program = tmp_path_factory.mktemp("flash") / "flash"
    strict = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_POSIX_C_SOURCE=200809L"]
    static = str(water_library.path / water_library.metadata["files"]["static"])
    source = str(root / "examples" / "flash.c")
    command = [
        *find_toolchain().cc,
        *strict,
        f"-I{water_library.path / 'include'}",
        source,
        static,
        "-lm",
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True)
    return str(program)


def test_solves_every_state_and_converges_quadratically(flash):
    done = subprocess.run([flash, "3000"], capture_output=True, text=True, check=True)
    exact = done.stdout.split("Newton with finite differences")[0]
    assert "states not solved 0 of 3000" in exact
    history = [float(r) for r in re.search(r"by iteration \(scaled\):(.*)", exact).group(1).split()]
    small = [r for r in history if r < 0.1]
    # r_{k+1} ≤ C r_k² with one C of order 1 to 10, down to the rounding of (p, u) in double.
    assert len(small) >= 3
    assert all(after <= max(10 * before**2, 1e-10) for before, after in pairwise(small))
    assert history[-1] <= 1e-11
    assert float(re.search(r"relative to their range: (\S+)", exact).group(1)) < 1e-9


@pytest.mark.parametrize("argument", ["0", "-3", "words"])
def test_wrong_call(flash, argument):
    done = subprocess.run([flash, argument], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage" in done.stderr
