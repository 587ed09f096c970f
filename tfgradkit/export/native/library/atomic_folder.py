"""A folder that appears whole or not at all: written beside its place, checked, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ....errors import OutputFolderError


@contextmanager
def output_folder(path: str | os.PathLike[str], *, overwrite: bool, marker: str) -> Iterator[Path]:
    """An empty folder beside ``path`` that becomes ``path`` where the block ends without an error.

    Args:
        path: must not exist, or be an empty folder; with ``overwrite`` it may hold an earlier export.
        overwrite: whether an earlier export is replaced.
        marker: the glob of a file in every earlier export; a folder without it is never replaced.

    Raises:
        OutputFolderError: ``path`` can't be used; raised before the block runs.
    """
    if not os.fspath(path):
        raise OutputFolderError("the output folder has no name", expected="a path", got="''")
    target = Path(os.path.abspath(path))
    created: list[Path] = []
    try:
        _check_free(target, overwrite, marker)
        _make_parents(target.parent, created)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        _remove_empty(created)
        raise OutputFolderError("the output folder can't be written", subject=target, got=error.strerror) from error
    try:
        beside.chmod(0o755)
        yield beside
        _check_free(target, overwrite, marker)
        try:
            _replace(beside, target)
        except OSError as error:
            raise OutputFolderError(
                "the output folder can't be put in place", subject=target, got=error.strerror
            ) from error
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        _remove_empty(created)
        raise


def _check_free(target: Path, overwrite: bool, marker: str) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputFolderError(
            "the output folder can't be written",
            subject=target,
            expected="no such path, or an empty folder",
            got="a file or a link",
        )
    if not target.exists() or not any(target.iterdir()):
        return
    if not overwrite:
        raise OutputFolderError(
            "the output folder is not empty",
            subject=target,
            expected="no such path, or an empty folder",
            hint="choose another folder, or overwrite=True (--overwrite) to replace an earlier export",
        )
    if not any(target.glob(marker)):
        raise OutputFolderError(
            "the output folder holds something else than an earlier export, so it is left alone",
            subject=target,
            expected=f"a folder with {marker}",
            hint="choose another folder",
        )


def _make_parents(folder: Path, created: list[Path]) -> None:
    """Makes ``folder`` and its missing parents, and puts each into ``created``, innermost first, once it exists."""
    if not folder.exists():
        _make_parents(folder.parent, created)
        folder.mkdir(exist_ok=True)
        created.insert(0, folder)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _replace(beside: Path, target: Path) -> None:
    """Renames ``beside`` to ``target``; an earlier export is moved aside first, and moved back after an error."""
    if not target.exists() or not any(target.iterdir()):
        beside.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    try:
        target.rename(aside / "old")
        beside.rename(target)
    except BaseException:
        _move_back(aside / "old", target)
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _move_back(old: Path, target: Path) -> None:
    """Another export may have taken the place meanwhile, or does just now: it has replaced the earlier one."""
    if target.exists() or not old.exists():
        return
    try:
        os.rename(old, target)
    except OSError:
        if not target.exists():
            raise
