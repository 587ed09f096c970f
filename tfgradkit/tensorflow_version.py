"""The version gate in front of TensorFlow's private modules."""

from __future__ import annotations

import re
from importlib import metadata

from .errors import VersionError

SUPPORTED = "2.21"


def tensorflow_version() -> str:
    """The installed TensorFlow's version, without importing it; "none" if there is none."""
    for name in ("tensorflow", "tensorflow-cpu", "tensorflow_cpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "none"


def require_tensorflow(installed: str | None = None) -> None:
    """Raises :class:`VersionError` unless TensorFlow 2.21 is installed.

    Freezing and compiling use modules of TensorFlow that change without notice.
    """
    got = tensorflow_version() if installed is None else installed
    if not re.match(rf"{re.escape(SUPPORTED)}(\.|$|rc)", got):
        raise VersionError(
            "this TensorFlow is not supported where its own modules are used",
            subject="tensorflow",
            expected=f"{SUPPORTED}.*",
            got=got,
            hint=f'pip install "tensorflow=={SUPPORTED}.*"',
        )
