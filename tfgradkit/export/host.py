"""The machine this runs on, in the compiler's words."""

from __future__ import annotations

import platform
from pathlib import Path

from ..errors import ToolchainError
from .tfcompile import Target


def host_target() -> Target:
    """Code for this machine: AVX2 and FMA on x86-64 where the processor has them, else the baseline.

    Raises:
        ToolchainError: libraries for this operating system or processor can't be made yet.
    """
    system, machine = platform.system(), platform.machine().lower()
    if system == "Linux" and machine in ("x86_64", "amd64"):
        if {"avx2", "fma", "bmi2"} <= _cpu_flags():
            return Target("x86_64-pc-linux-gnu", "haswell", "+avx2,+fma")
        return Target("x86_64-pc-linux-gnu", "", "")
    if system == "Linux" and machine in ("aarch64", "arm64"):
        return Target("aarch64-linux-gnu", "", "")
    raise ToolchainError(
        "C libraries can't be made on this kind of machine yet",
        expected="Linux on x86-64 or aarch64",
        got=f"{system} on {machine}",
        hint="export on Linux, for example in a container; export_saved_model works here",
    )


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())
