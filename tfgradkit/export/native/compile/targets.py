"""The targets that code is made for: the levels of x86-64, and which of them this machine runs.

The levels are those of the System V ABI for x86-64 (psABI, "Micro-Architecture Levels"). The shapes of the blocks of
product kernels are measured: rows × depth × columns in vectors, as many sums as the level has registers for
(``benchmarks/blocks.py``).
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....errors import ExportError, ToolchainError

HOST = "host"


@dataclass(frozen=True)
class Target:
    """A kind of processor that kernels are compiled for.

    Attributes:
        name: as the user writes it.
        triple, cpu, features: in LLVM's words.
        block: the shape of a block in a matrix product, m:k:n; XLA's own shape where it is empty.
        vector_bytes: the bytes of a full vector.
        level: the level that ``templates/processor.h`` must find at run time; 0 for any processor.
        needs: Linux's names of the instructions.
    """

    name: str
    triple: str
    cpu: str = ""
    features: str = ""
    block: str = ""
    vector_bytes: int = 16
    level: int = 0
    needs: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """The name as a part of an identifier."""
        return self.name.replace("-", "_")


def _x86(name: str, cpu: str, level: int, needs: str, **more: str | int) -> Target:
    return Target(name, "x86_64-pc-linux-gnu", cpu, level=level, needs=frozenset(needs.split()), **more)  # type: ignore[arg-type]


_V2 = "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
_V3 = f"{_V2} avx avx2 bmi1 bmi2 f16c fma abm movbe"
_V4 = f"{_V3} avx512f avx512bw avx512cd avx512dq avx512vl"
X86_64 = (
    _x86("x86-64", "", 0, ""),
    _x86("x86-64-v2", "x86-64-v2", 2, _V2),
    _x86("x86-64-v3", "x86-64-v3", 3, _V3, block="6:64:2", vector_bytes=32),
    _x86("x86-64-v4", "x86-64-v4", 4, _V4, features="-prefer-256-bit", block="12:64:1", vector_bytes=64),
)
AARCH64 = Target("aarch64", "aarch64-linux-gnu")


def choose_targets(names: Sequence[str]) -> tuple[Target, ...]:
    """The targets that ``names`` mean, the plainest first, each once.

    "host" stands for the targets that this machine runs and that pay: on x86-64 the baseline, v3 and v4.

    Raises:
        ExportError: no such target, or a target that this machine can't run: its code could not be tested.
        ToolchainError: libraries for this operating system or processor can't be made yet.
    """
    here = _runnable()
    known = {target.name: target for target in (*X86_64, AARCH64)}
    if isinstance(names, str) or not names or any(name not in (HOST, *known) for name in names):
        raise ExportError(
            "no such target",
            subject="targets",
            expected=f'a list of "{HOST}" or {", ".join(known)}',
            got=repr(names),
        )
    for name in names:
        if name != HOST and known[name] not in here:
            raise ExportError(
                "this machine can't run code for that target, so a library for it could not be tested",
                subject=name,
                expected=", ".join(target.name for target in here),
                hint="export on a machine that can",
            )
    wanted = [target for name in names for target in (_host(here) if name == HOST else (known[name],))]
    return tuple(target for target in here if target in wanted)


def _host(here: tuple[Target, ...]) -> tuple[Target, ...]:
    """All but v2, whose vectors are no wider than the baseline's: it would add only its size."""
    return tuple(target for target in here if target.name != "x86-64-v2")


def _runnable() -> tuple[Target, ...]:
    system, machine = platform.system(), platform.machine().lower()
    if system == "Linux" and machine in ("x86_64", "amd64"):
        flags = _cpu_flags()
        return tuple(target for target in X86_64 if target.needs <= flags)
    if system == "Linux" and machine in ("aarch64", "arm64"):
        return (AARCH64,)
    raise ToolchainError(
        "C libraries can't be made on this kind of machine yet",
        expected="Linux on x86-64 or aarch64",
        got=f"{system} on {machine}",
        hint="export on Linux, for example in a container; export_saved_model works here",
    )


def processor_name() -> str:
    """The machine's name for its processor; empty where there is none."""
    return _cpuinfo().get("model name", "")


def _cpu_flags() -> set[str]:
    return set(_cpuinfo().get("flags", "").split())


def _cpuinfo() -> dict[str, str]:
    """The first processor in /proc/cpuinfo."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
