"""The script of continuous integration installs missing tools, and runs the tests whether it can or not."""

from __future__ import annotations

import shutil
import subprocess

import pytest

BASE = ("bash", "env", "timeout", "mktemp", "tail", "rm", "dirname", "sh", "cat")


@pytest.fixture
def clone(root, tmp_path):
    """A project whose tests do nothing, on a machine with these commands alone."""
    for folder in (".ci", "scripts", "bin"):
        (tmp_path / folder).mkdir()
    shutil.copy(root / ".ci" / "run", tmp_path / ".ci" / "run")
    command(tmp_path / "scripts" / "test", "echo tests ran; exit 3")
    for name in BASE:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or pytest.skip(f"{name} is not installed"))
    command(tmp_path / "bin" / "id", "echo 0")
    return tmp_path


def command(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(clone):
    """What was printed, and what apt-get was asked for. The exit code is the tests'."""
    environment = {"PATH": str(clone / "bin"), "HOME": str(clone)}
    done = subprocess.run([str(clone / ".ci" / "run")], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "tests ran", done.stderr
    assert done.returncode == 3
    log = clone / "log"
    return done.stdout, log.read_text().splitlines() if log.exists() else []


def test_missing_tools_are_installed(clone):
    command(clone / "bin" / "cmake", "")
    command(clone / "bin" / "apt-get", f'printf "%s\\n" "$*" >> {clone}/log')
    out, calls = run(clone)
    assert [call.split()[0] for call in calls] == ["update", "install"]
    assert {"gfortran", "ninja-build", "valgrind"} < set(calls[1].split())
    assert "cmake" not in calls[1].split()
    assert "could be installed" not in out


def test_nothing_is_asked_for_where_all_is_there(clone):
    tools = ["cc", "c++", "objcopy", "make", "gfortran", "cmake", "ninja", "pkg-config", "valgrind", "clang"]
    for name in [*tools, "chromium"]:
        command(clone / "bin" / name, "")
    command(clone / "bin" / "apt-get", f"echo called >> {clone}/log")
    assert run(clone) == ("tests ran\n", [])


def test_without_being_root_sudo_is_asked_and_asks_nothing(clone):
    command(clone / "bin" / "id", "echo 1000")
    command(clone / "bin" / "apt-get", "")
    command(clone / "bin" / "sudo", f'printf "%s\\n" "$*" >> {clone}/log')
    _, calls = run(clone)
    assert [call.split()[:2] for call in calls] == [["-n", "apt-get"], ["-n", "env"]]


@pytest.mark.parametrize("apt", [None, "echo no network >&2; exit 100"], ids=["no apt-get", "a failing one"])
def test_where_nothing_can_be_installed_the_tests_run(clone, apt):
    if apt:
        command(clone / "bin" / "apt-get", apt)
    out, _ = run(clone)
    assert "the tests that need them are skipped" in out
    assert ("no network" in out) == (apt is not None)
