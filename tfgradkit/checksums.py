"""SHA256SUMS of an exported folder, in the format of ``sha256sum``."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .errors import ChecksumError

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
