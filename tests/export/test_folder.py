"""Output folders: there whole or not at all, and nobody else's files are touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfgradkit.errors import OutputFolderError
from tfgradkit.export.native.library.atomic_folder import output_folder

MARKER = "share/*/made"
STOPS = [
    pytest.param(ValueError, id="an error"),
    pytest.param(KeyboardInterrupt, id="Ctrl-C"),
    pytest.param(SystemExit, id="an exit"),
]


def tree(folder: Path) -> dict[str, str]:
    """Every path below a folder, with what is in the files: to compare before and after."""
    return {
        str(p.relative_to(folder)): p.read_text() if p.is_file() else "a link" if p.is_symlink() else "a folder"
        for p in sorted(folder.rglob("*"))
    }


def write(path: str | os.PathLike[str], text: str = "new", *, overwrite: bool = False) -> None:
    """An export such as the exporters make."""
    with output_folder(path, overwrite=overwrite, marker=MARKER) as folder:
        (folder / "share" / "lib").mkdir(parents=True)
        (folder / "share" / "lib" / "made").write_text(text)


def stopped(path: Path, stop: type[BaseException], *, overwrite: bool = False) -> None:
    """An export that ends in the middle."""
    with output_folder(path, overwrite=overwrite, marker=MARKER) as folder:
        (folder / "half").write_text("half")
        raise stop


def written(text: str) -> dict[str, str]:
    return {"share": "a folder", "share/lib": "a folder", "share/lib/made": text}


@pytest.mark.parametrize("name", ["out", "a/b/out", "with space/größe", "out/", "./x/../out"])
def test_the_folder_appears_with_its_parents(tmp_path, name):
    write(f"{tmp_path}/{name}")
    assert tree(Path(os.path.normpath(f"{tmp_path}/{name}"))) == written("new")
    assert not list(tmp_path.rglob(".*")), "a folder was left beside"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    write(tmp_path / "out")
    assert tree(tmp_path / "out") == written("new")


def test_a_parent_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link" / "out")
    assert tree(tmp_path / "real" / "out") == written("new")


def test_others_may_read_the_folder(tmp_path):
    # The folder is made by mkdtemp, which shuts everybody else out.
    write(tmp_path / "out")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_a_relative_path_is_meant_from_where_the_export_began(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with output_folder("out", overwrite=False, marker=MARKER) as folder:
        (folder / "file").write_text("new")
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert tree(tmp_path) == {"elsewhere": "a folder", "out": "a folder", "out/file": "new"}


def test_nothing_is_seen_at_the_path_before_the_end(tmp_path):
    with output_folder(tmp_path / "out", overwrite=False, marker=MARKER) as folder:
        (folder / "half").write_text("half")
        assert not (tmp_path / "out").exists()
        assert folder.parent == tmp_path, "only a folder on the same disk can be renamed in one step"


@pytest.mark.parametrize("stop", STOPS)
def test_a_stopped_export_leaves_nothing(tmp_path, stop):
    (tmp_path / "mine").mkdir()
    before = tree(tmp_path)
    with pytest.raises(stop):
        stopped(tmp_path / "mine/a/b/out", stop)
    assert tree(tmp_path) == before, "parents that were made must go, others must stay"


@pytest.mark.parametrize("stop", STOPS)
def test_a_stopped_replacement_keeps_the_earlier_export(tmp_path, stop):
    write(tmp_path / "out", "old")
    with pytest.raises(stop):
        stopped(tmp_path / "out", stop, overwrite=True)
    assert tree(tmp_path / "out") == written("old")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_parents_that_somebody_else_uses_meanwhile_stay(tmp_path):
    def shared() -> None:
        with output_folder(tmp_path / "a/b/out", overwrite=False, marker=MARKER):
            (tmp_path / "a" / "theirs").write_text("theirs")
            raise KeyError

    with pytest.raises(KeyError):
        shared()
    assert tree(tmp_path) == {"a": "a folder", "a/theirs": "theirs"}


@pytest.mark.parametrize("failing", [1, 2], ids=["moving the old aside", "moving the new in"])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()], ids=["disk", "Ctrl-C"])
def test_a_failed_rename_keeps_the_earlier_export(tmp_path, monkeypatch, failing, error):
    write(tmp_path / "out", "old")
    rename, calls = Path.rename, []

    def fails(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises((OutputFolderError, OSError, KeyboardInterrupt)):
        write(tmp_path / "out", "new", overwrite=True)
    assert tree(tmp_path / "out") == written("old"), "the earlier export is gone from its place"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_overwrite_replaces_an_earlier_export_whole(tmp_path):
    write(tmp_path / "out", "old")
    (tmp_path / "out" / "share" / "lib" / "of_the_old_one").write_text("old")
    write(tmp_path / "out", "new", overwrite=True)
    assert tree(tmp_path / "out") == written("new")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_never_replaced(tmp_path, overwrite):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    before = tree(tmp_path)
    with pytest.raises(OutputFolderError) as error:
        write(tmp_path / "out", overwrite=overwrite)
    assert tree(tmp_path) == before
    assert str(tmp_path / "out") in str(error.value)


def test_an_earlier_export_is_not_replaced_unasked(tmp_path):
    write(tmp_path / "out", "old")
    with pytest.raises(OutputFolderError, match="not empty") as error:
        write(tmp_path / "out", "new")
    assert "overwrite" in error.value.hint
    assert tree(tmp_path / "out") == written("old")


def file_there(path: Path) -> None:
    path.write_text("theirs")


def link_to_a_folder(path: Path) -> None:
    (path.parent / "real").mkdir()
    path.symlink_to(path.parent / "real")


def link_to_an_export(path: Path) -> None:
    write(path.parent / "real", "old")
    path.symlink_to(path.parent / "real")


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "overwrite"])
@pytest.mark.parametrize(
    "there", [file_there, link_to_a_folder, link_to_an_export, link_to_nothing], ids=lambda f: f.__name__
)
def test_a_file_or_link_at_the_path_is_refused(tmp_path, there, overwrite):
    there(tmp_path / "out")
    before = tree(tmp_path)
    with pytest.raises(OutputFolderError, match="a file or a link"):
        write(tmp_path / "out", overwrite=overwrite)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("file/out", id="below a file"),
        pytest.param("file/a/b/out", id="far below a file"),
        pytest.param("x" * 300, id="name too long"),
        pytest.param("made/" + "x" * 300 + "/out", id="name of a parent too long"),
        pytest.param("/proc/out", id="where nothing can be written"),
        pytest.param("/proc/made/out", id="where no parent can be made"),
        pytest.param("/", id="the root"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("a file, not a folder")
    before = tree(tmp_path)
    with pytest.raises(OutputFolderError):
        write(tmp_path / name)  # an absolute name stands for itself
    assert tree(tmp_path) == before


def test_a_folder_filled_meanwhile_is_not_replaced(tmp_path):
    def raced() -> None:
        with output_folder(tmp_path / "out", overwrite=False, marker=MARKER) as folder:
            (folder / "mine").write_text("mine")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "theirs").write_text("theirs")

    with pytest.raises(OutputFolderError, match="not empty"):
        raced()
    assert tree(tmp_path) == {"out": "a folder", "out/theirs": "theirs"}


def test_ctrl_c_in_a_real_process_leaves_nothing(tmp_path):
    code = (
        "import signal, sys, time\n"
        "from tfgradkit.export.native.library.atomic_folder import output_folder\n"
        # A shell that starts its commands in the background has them ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with output_folder(sys.argv[1], overwrite=False, marker='m') as folder:\n"
        "    (folder / 'half').write_text('half')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(30)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a" / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        assert tree(tmp_path), "the test looks at the wrong place"
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    assert process.returncode != 0
    assert tree(tmp_path) == {}
