"""The other end of ``worker.serve``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class Process:
    """A program that answers questions, on all processors or on one.

    Attributes:
        told: what it said when it began.
    """

    def __init__(self, program: str, arguments: list[str], log: Path, *, one_core: bool = False) -> None:
        with log.open("a") as file:
            self._process = subprocess.Popen(
                [sys.executable, str(HERE / program), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={**os.environ, **({"OMP_NUM_THREADS": "1"} if one_core else {})},
                # Before anything is imported: the frameworks count the processors that they may use.
                preexec_fn=_one_core if one_core else None,
            )
        self.told = self._read()

    def ask(self, *question: Any) -> dict[str, Any]:
        """Its answer.

        Raises:
            RuntimeError: it has none, with why.
        """
        assert self._process.stdin is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer = self._read()
        if "error" in answer or not answer:
            raise RuntimeError(answer.get("error", "the process ended"))
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {}


def _one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
