"""Exports in processes of their own: the same bytes, several at once, and killed at random moments.

``TFGRADKIT_SWEEP=1`` (``scripts/sweep``) kills fifty.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import tfgradkit as tgk
from tfgradkit.errors import OutputFolderError
from tfgradkit.export.native.library.atomic_folder import output_folder

EXPORTER = Path(__file__).resolve().parent.parent / "clients" / "exporter.py"
KILLS = 50 if os.environ.get("TFGRADKIT_SWEEP") else 3
STEPS = ("tracing", "compiling", "choosing", "recording", "building")


def start(folder: Path, scale: float = 1.0) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXPORTER), str(folder), str(scale)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=300)
    return process.returncode


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """What the exporter writes when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("alone") / "out"
    assert finish(start(folder)) == 0
    return folder


def test_the_same_model_exports_to_the_same_bytes(alone, tmp_path):
    process = start(tmp_path / "another name" / "out")
    assert finish(process) == 0
    first, second = files(alone), files(tmp_path / "another name" / "out")
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_two_exports_into_one_folder_do_not_mix(alone, tmp_path):
    processes = [start(tmp_path / "out", scale) for scale in (1.0, 0.5)]
    codes = [finish(process) for process in processes]
    assert 0 in codes
    library = tgk.load_native(tmp_path / "out")
    library.verify()
    if library.metadata["weights_sha256"] == tgk.load_native(alone).metadata["weights_sha256"]:
        assert files(tmp_path / "out") == files(alone)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def kill_after(process: subprocess.Popen[str], step: str, delay: float) -> bool:
    """Kills an export a while after a step began; whether it was still running."""
    for line in process.stdout:
        if line.strip() == step:
            break
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_export_leaves_the_old_folder_or_the_new_or_none(alone, tmp_path, seed):
    """SIGKILL at a random moment; most of them while files are written."""
    generator = random.Random(seed)
    step = STEPS[-1] if seed % 2 == 0 else generator.choice(STEPS)
    old = generator.random() < 0.5
    if old:
        with output_folder(tmp_path / "out", overwrite=False, marker="share/*/metadata.json") as folder:
            for name, content in files(alone).items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
    killed = kill_after(start(tmp_path / "out", 0.5), step, generator.uniform(0, 1.5 if step == STEPS[-1] else 0.5))
    if (tmp_path / "out").exists():
        library = tgk.load_native(tmp_path / "out")  # every file is there and has its checksum
        library.verify()
        others = library.metadata["weights_sha256"] != tgk.load_native(alone).metadata["weights_sha256"]
        assert others or (old and killed and files(tmp_path / "out") == files(alone))
    else:
        assert killed
        assert not old or list(tmp_path.glob(".out-old-*/old/share/*/metadata.json")), "the old export is lost"


def write(path: Path, text: str) -> None:
    """An export of two files that belong together."""
    with output_folder(path, overwrite=True, marker="made") as folder:
        (folder / "made").write_text(text)
        (folder / "other").write_text(text)


def test_many_writers_of_one_folder_leave_one_whole(tmp_path):
    """Threads that replace a folder again and again, and a reader that looks at it meanwhile."""
    write(tmp_path / "out", "0")
    refused = []

    def work(number: int) -> None:
        for i in range(60):
            try:
                write(tmp_path / "out", f"{number} {i}")
            except OutputFolderError as error:
                refused.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "out" / "made").read_text() == (tmp_path / "out" / "other").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert len(refused) < 240, "nobody ever got through"
