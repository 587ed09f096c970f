"""The other end of worker.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cases import ROOT, Case
from programs import Timer


class Worker:
    """A framework in a process of its own, on all processors or on one."""

    def __init__(self, group: str, case: Case, folder: Path, log: Path, *, one_core: bool = False) -> None:
        command = [sys.executable, str(ROOT / "benchmarks" / "worker.py"), group, case.name, str(folder)]
        with log.open("a") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={**os.environ, **({"OMP_NUM_THREADS": "1"} if one_core else {})},
                # Before anything is imported: the frameworks count the processors that they may use.
                preexec_fn=_one_core if one_core else None,
            )
        told = self._read()
        self.ways: list[str] = told.get("ways", [])
        self.suffix = ", one core" if one_core else ""
        if not self.ways:
            print(f"{case.name}: no {group}: {told.get('missing', f'see {log}')}", file=sys.stderr)

    def timers(self) -> dict[str, Timer]:
        """A timer for each way."""
        return {f"{way}{self.suffix}": self._timer(way) for way in self.ways}

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _timer(self, way: str) -> Timer:
        def run(n: int) -> float:
            assert self._process.stdin is not None
            print(json.dumps([way, n]), file=self._process.stdin, flush=True)
            answer = self._read()
            if "time" not in answer:
                raise RuntimeError(answer.get("error", "the process ended"))
            return answer["time"]

        return run

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {}


def _one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
