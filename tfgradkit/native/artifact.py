"""The folder of a compiled library: its metadata, its checksums, its shared library.

The checksums are in ``SHA256SUMS``, in the format of ``sha256sum``.
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
CHECKSUMS = "SHA256SUMS"
# What calls from Python go through where it can be used. Without it they go through ctypes, so that it may be missing.
EXTENSION = "python/_python_call.abi3.so"
_HINT = "export it again, or copy the whole folder from where it was made"


def read_metadata(folder: Path) -> dict[str, Any]:
    """The metadata of a folder whose checksums are right.

    Raises:
        LibraryError: no library there, or one of another interface version.
        ChecksumError: a file was changed, or is missing.
    """
    files = sorted(folder.glob("share/*/metadata.json")) if folder.is_dir() else []
    if len(files) != 1:
        raise LibraryError(
            "there is no compiled library here",
            subject=folder,
            expected="a folder that export_native or `tfgradkit compile` wrote, with share/<name>/metadata.json",
            got=f"{len(files)} such files" if folder.is_dir() else "a file" if folder.exists() else "no such folder",
        )
    (file,) = files
    verified = verify_checksums(folder)
    try:
        metadata = json.loads(file.read_text())
        version, needed = metadata["abi_version"], [file.relative_to(folder).as_posix(), *metadata["files"].values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError("the library's metadata can't be read", subject=file, got=repr(error)) from error
    if version != ABI_VERSION:
        raise LibraryError(
            "the library has another interface version",
            subject=folder,
            expected=ABI_VERSION,
            got=version,
            hint="export it again with this tfgradkit",
        )
    if missing := [name for name in needed if name not in verified]:
        raise ChecksumError("the list of checksums is not complete", subject=folder, got=f"no line for {missing[0]}")
    return metadata


def write_checksums(folder: Path) -> None:
    """Writes the checksums of every file below ``folder``."""
    lines = [f"{_digest(folder / name)}  {name}\n" for name in _listed_files(folder)]
    (folder / CHECKSUMS).write_text("".join(lines))


def verify_checksums(folder: Path, *, extension: bool = False) -> frozenset[str]:
    """The listed files, once the checksum of each is verified; that of the extension, which isn't needed, on request.

    Raises:
        ChecksumError: a listed file is missing or was changed.
    """
    listed = _read_checksums(folder)
    for name, expected in listed.items():
        file = folder / name
        if name == EXTENSION and not extension:
            continue
        if not file.is_file():
            raise ChecksumError("a file of the folder is missing", subject=file, hint=_HINT)
        if (got := _digest(file)) != expected:
            raise ChecksumError(
                "a file of the folder was changed", subject=file, expected=expected, got=got, hint=_HINT
            )
    return frozenset(listed)


def is_unchanged(folder: Path, name: str) -> bool:
    """Whether a file of ``folder`` has the checksum that is listed."""
    return _digest(folder / name) == _read_checksums(folder).get(name)


def _read_checksums(folder: Path) -> dict[str, str]:
    """The listed checksums, by the files' names."""
    try:
        lines = (folder / CHECKSUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ChecksumError("the folder has no readable checksums", subject=folder / CHECKSUMS, hint=_HINT) from error
    if not lines:
        raise ChecksumError("the list of checksums is empty", subject=folder / CHECKSUMS, hint=_HINT)
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _listed_files(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def open_library(file: Path) -> ctypes.CDLL:
    """The shared library ``file``.

    Raises:
        LibraryError: it can't be loaded here.
    """
    try:
        with tempfile.TemporaryDirectory() as work:
            # Through a new name: for a path that was opened before the loader returns the library that it has,
            # even where another library has taken the file's place since.
            link = Path(work) / file.name
            link.symlink_to(os.path.abspath(file))
            return ctypes.CDLL(str(link))
    except OSError:
        pass  # no folder for temporary files, or a library that can't be loaded: the path itself tells which
    try:
        return ctypes.CDLL(os.path.abspath(file))
    except OSError as error:
        raise LibraryError(
            "the library can't be loaded on this machine",
            subject=file,
            got=str(error),
            hint="export it for this machine",
        ) from error
