"""Compilers and build systems in tests: a missing one is a skip, a failing one shows what it said."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")


def need(*tools: str) -> None:
    """Skips the test where one of the commands is not there."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def run(*command: object, **options: Any) -> str:
    """What a command that succeeds prints."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
    return done.stdout
