"""The README's commands and code run as they stand, and its table is what the script makes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import parity
import pytest

from tfgradkit.__main__ import cli


@pytest.fixture(scope="module")
def text(root):
    return (root / "README.md").read_text()


@pytest.fixture(scope="module")
def clone(root, tmp_path_factory):
    """A folder with what the README's commands name, to write into."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("saved_models", "examples"):
        (folder / name).symlink_to(root / name)
    (folder / "build").mkdir()
    return folder


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_two_commands_come_first(text):
    first = blocks(text, "sh")[0]
    assert [line.split()[0] for line in first.splitlines()] == ["scripts/run", "scripts/test"]


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_is_in_the_readme(text, command):
    assert f"tfgradkit {command} " in text


def test_python_code_runs(text, clone, water_library, monkeypatch):
    monkeypatch.chdir(clone)
    shutil.copytree(water_library.path, clone / "build" / "eos")
    names: dict[str, object] = {}
    for block in blocks(text, "python"):
        exec(compile(block, "README.md", "exec"), names)
    assert names["jacobian"].shape == (2, 2)  # of the last block: one point, from the library


def test_commands_by_hand_run_in_their_order(text, clone):
    """The block as it stands, but for the environment, which is this one."""
    (block,) = (b for b in blocks(text, "sh") if "tfgradkit compile" in b)
    lines = [line for line in block.splitlines() if not line.startswith(". ")]
    if shutil.which("cc") is None:
        pytest.skip("no system C compiler for the README's cc")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = "set -e\n" + "\n".join(lines)
    done = subprocess.run(["bash", "-c", script], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Newton with the exact tangent" in done.stdout
    assert done.stderr == "", "a command that does its job is quiet on standard error"


def test_commands_that_look_into_a_model_run(text, clone):
    (block,) = (b for b in blocks(text, "sh") if "tfgradkit explain" in b)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-ec", block], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == "", "a command that does its job is quiet on standard error"
    assert (clone / "build" / "report.html").is_file()


def test_parity_table_is_what_the_script_makes(text, water_points, water_library, water_saved_model, monkeypatch):
    monkeypatch.setattr(parity, "LIBRARY", water_library.path)
    monkeypatch.setattr(parity, "SAVED_MODEL", water_saved_model)
    errors = parity.compare(water_points)
    assert max(error for row in errors.values() for error in row.values()) <= parity.TOLERANCE
    table = re.search(r"<!-- parity -->\n(.*?)<!-- /parity -->", text, re.DOTALL).group(1)
    # The digits are rounding, and differ from machine to machine; clients and tolerance may not.
    assert re.findall(r"^\| (.*?) \| [\d.]+e", table, re.MULTILINE) == list(errors)
    assert f"{parity.TOLERANCE:g}" in table


def test_errors_in_the_models_readme_are_within_the_promise(root):
    rows = re.findall(
        r"^\| (\w+) \| .*? \| ([\d.]+) % \|", (root / "saved_models" / "README.md").read_text(), re.MULTILINE
    )
    assert len(rows) == 6
    assert all(float(error) < (0.5 if name in "pu" else 2.0) for name, error in rows)
