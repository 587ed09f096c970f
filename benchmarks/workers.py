"""The frameworks of native.py, each in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from cases import Case
from process import Process
from programs import Timer


class Worker:
    """A framework in a process of its own, on all processors or on one."""

    def __init__(self, group: str, case: Case, folder: Path, log: Path, *, one_core: bool = False) -> None:
        self._process = Process("worker.py", [group, case.name, str(folder)], log, one_core=one_core)
        self.ways: list[str] = self._process.told.get("ways", [])
        self.suffix = ", one core" if one_core else ""
        if not self.ways:
            print(f"{case.name}: no {group}: {self._process.told.get('missing', f'see {log}')}", file=sys.stderr)

    def timers(self) -> dict[str, Timer]:
        """A timer for each way."""
        return {f"{way}{self.suffix}": self._timer(way) for way in self.ways}

    def close(self) -> None:
        """Ends the process."""
        self._process.close()

    def _timer(self, way: str) -> Timer:
        return lambda n: float(self._process.ask(way, n)["time"])
