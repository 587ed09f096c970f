"""A sweep that goes on where it was stopped: a test that passed isn't run again while its sources are the same.

A plugin of pytest, for ``scripts/sweep``. What passed is kept in ``build/sweep/passed``, a line for each test: a hash
of the sources, and the test's name. The sources are the test's file, the tests' helpers and the package; for tests
outside ``tests/export`` without the parts of the package that no derivative depends on.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RECORD = ROOT / "build" / "sweep" / "passed"
APART = ("export", "native", "report", "cli", "attribution")


@cache
def sources(file: str) -> str:
    """The hash of what the tests of a file depend on."""
    package = ROOT / "tfgradkit"
    apart = () if file.startswith("tests/export/") else tuple(package / part for part in APART)
    files = [path for path in package.rglob("*") if path.suffix not in (".pyc", "") and path.is_file()]
    files = [path for path in files if not any(part in path.parents for part in apart)]
    digest = hashlib.sha256()
    for path in sorted([*files, *(ROOT / "tests" / "helpers").rglob("*.py"), ROOT / file]):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def line(name: str) -> str:
    """A test's line in the record."""
    return f"{sources(name.partition('::')[0])} {name}"


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder())


def pytest_collection_modifyitems(config, items):
    known = set(RECORD.read_text().splitlines()) if RECORD.exists() else set()
    passed = [item for item in items if line(item.nodeid) in known]
    if passed:
        config.hook.pytest_deselected(items=passed)
        items[:] = [item for item in items if line(item.nodeid) not in known]


class Recorder:
    """Writes down what passes, at once: a sweep may be stopped at any time. What is skipped may lack a tool alone."""

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            RECORD.parent.mkdir(parents=True, exist_ok=True)
            with RECORD.open("a") as record:
                record.write(line(report.nodeid) + "\n")
