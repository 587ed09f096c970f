"""Writing a page so that it is there whole, or not at all: beside, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import OutputFileError

# By which an earlier report is known; nothing else is ever replaced.
MARKER = '<meta name="generator" content="tfgradkit report'


def write_page(path: str | os.PathLike[str], make: Callable[[], str], *, overwrite: bool) -> Path:
    """Writes what ``make`` returns, which is not called where the file can't be written.

    Args:
        path: must not exist, or with ``overwrite`` be an earlier report.
        make: the page.
        overwrite: whether an earlier report is replaced.

    Raises:
        OutputFileError: ``path`` can't be used; nothing was written.
    """
    if not os.fspath(path):
        raise OutputFileError("the output file has no name", expected="a path", got="''")
    target = Path(os.path.abspath(path))
    _check_free(target, overwrite)
    _try_folder(target)
    text = make()
    beside = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}-", delete=False
        ) as file:
            beside = Path(file.name)
            file.write(text)
        beside.chmod(0o644)
        _check_free(target, overwrite)
        beside.rename(target)
    except BaseException as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputFileError("the output file can't be written", subject=target, got=error.strerror) from error
        raise
    return target


def _try_folder(target: Path) -> None:
    """Before a minute of work: whether there is a folder that takes a file."""
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise OutputFileError(
            "the output file can't be written",
            subject=target,
            expected="a folder that exists and can be written",
            got=error.strerror,
        ) from error


def _check_free(target: Path, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_file():
        raise OutputFileError(
            "the output file can't be written", subject=target, expected="no such path", got="a folder or a link"
        )
    if not overwrite:
        raise OutputFileError(
            "the output file exists",
            subject=target,
            expected="no such path",
            hint="choose another file, or overwrite=True (--overwrite) to replace an earlier report",
        )
    if not _is_report(target):
        raise OutputFileError(
            "the output file is something else than an earlier report, so it is left alone",
            subject=target,
            hint="choose another file",
        )


def _is_report(target: Path) -> bool:
    try:
        with target.open(encoding="utf-8", errors="replace") as file:
            return MARKER in file.read(2000)
    except OSError:
        return False
