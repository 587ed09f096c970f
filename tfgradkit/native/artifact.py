"""The folder of a compiled library, as it is found: its metadata, its checksums, its shared library.

SHA256SUMS of an exported folder, in the format of ``sha256sum``.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ..errors import ChecksumError, LibraryError

ABI_VERSION = 1


def read_metadata(folder: Path) -> dict[str, Any]:
    """The metadata of a folder whose checksums are right.

    Raises:
        LibraryError: no library there, or one of another interface version.
        ChecksumError: a file was changed, or is missing.
    """
    found = sorted(folder.glob("share/*/metadata.json")) if folder.is_dir() else []
    if len(found) != 1:
        raise LibraryError(
            "there is no compiled library here",
            subject=folder,
            expected="a folder that export_native or `tfgradkit compile` wrote, with share/<name>/metadata.json",
            got=f"{len(found)} such files" if folder.is_dir() else "a file" if folder.exists() else "no such folder",
        )
    verified = verify_checksums(folder)
    try:
        metadata = json.loads(found[0].read_text())
        version, files = metadata["abi_version"], [found[0].relative_to(folder).as_posix(), *metadata["files"].values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError("the library's metadata can't be read", subject=found[0], got=repr(error)) from error
    if version != ABI_VERSION:
        raise LibraryError(
            "the library has another interface version",
            subject=folder,
            expected=ABI_VERSION,
            got=version,
            hint="export it again with this tfgradkit",
        )
    if missing := [name for name in files if name not in verified]:
        raise ChecksumError("the list of checksums is not complete", subject=folder, got=f"no line for {missing[0]}")
    return metadata


def open_library(file: Path) -> ctypes.CDLL:
    """The shared library ``file``.

    Raises:
        LibraryError: it can't be loaded here.
    """
    try:
        with tempfile.TemporaryDirectory() as work:
            # Through a name that was never used: the loader gives back what it once opened under a
            # path, even where another library has taken the file's place since.
            link = Path(work) / file.name
            link.symlink_to(os.path.abspath(file))
            return ctypes.CDLL(str(link))
    except OSError:
        pass  # no folder for temporary files, or a library that can't be loaded: the path itself tells
    try:
        return ctypes.CDLL(os.path.abspath(file))
    except OSError as error:
        raise LibraryError(
            "the library can't be loaded on this machine",
            subject=file,
            got=str(error),
            hint="export it for this machine",
        ) from error


FILE = "SHA256SUMS"


def write_checksums(folder: Path) -> None:
    """Writes the checksums of every file below ``folder``."""
    lines = [f"{_digest(folder / name)}  {name}\n" for name in _files(folder)]
    (folder / FILE).write_text("".join(lines))


def verify_checksums(folder: Path) -> frozenset[str]:
    """The files that are listed, once each was found as it is listed.

    Raises:
        ChecksumError: a listed file is missing or was changed.
    """
    try:
        lines = (folder / FILE).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ChecksumError("the folder has no readable checksums", subject=folder / FILE, hint=_HINT) from error
    if not lines:
        raise ChecksumError("the list of checksums is empty", subject=folder / FILE, hint=_HINT)
    for line in lines:
        expected, _, name = line.partition("  ")
        file = folder / name
        if not file.is_file():
            raise ChecksumError("a file of the folder is missing", subject=file, hint=_HINT)
        if (got := _digest(file)) != expected:
            raise ChecksumError(
                "a file of the folder was changed", subject=file, expected=expected, got=got, hint=_HINT
            )
    return frozenset(line.partition("  ")[2] for line in lines)


_HINT = "export it again, or copy the whole folder from where it was made"


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder).as_posix()) for p in folder.rglob("*") if p.is_file() and p.name != FILE)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
