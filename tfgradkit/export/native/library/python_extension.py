"""The extension module that calls from Python go through: one file of C, which knows no library, built once a process.

It is compiled against CPython's stable ABI, so that it serves every CPython from 3.11 on, and against NumPy's headers.
"""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ....errors import ToolchainError
from ....native.artifact import EXTENSION
from ....templates import template
from ..compile.toolchain import Toolchain, link_extension

_SOURCE = "python_call.c"


class PythonExtension(NamedTuple):
    """The module's file, or None and why there is none."""

    binary: bytes | None
    not_built: str | None

    def described(self) -> dict[str, Any]:
        """Its entry in the metadata."""
        return {"file": None if self.binary is None else EXTENSION, "not_built": self.not_built}


@cache
def python_extension(tools: Toolchain) -> PythonExtension:
    """The extension, compiled by ``tools`` where this Python's headers are there."""
    if (reason := _obstacle()) is not None:
        return PythonExtension(None, reason)
    with tempfile.TemporaryDirectory() as work:
        source, output = Path(work) / _SOURCE, Path(work) / Path(EXTENSION).name
        source.write_text(template("export", _SOURCE))
        try:
            link_extension(tools, source, _headers(), output)
        except ToolchainError as error:
            return PythonExtension(None, f"the C compiler failed: {str(error.got).splitlines()[0]}")
        return PythonExtension(output.read_bytes(), None)


def _headers() -> tuple[Path, Path]:
    return Path(sysconfig.get_path("include")), Path(np.get_include())


def _obstacle() -> str | None:
    """Why the module can't be made for this Python."""
    if sys.implementation.name != "cpython":
        return f"this is {sys.implementation.name}, not CPython"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this CPython has no stable ABI: it is a free-threaded one"
    python, numpy = _headers()
    for header in (python / "Python.h", numpy / "numpy" / "arrayobject.h"):
        if not header.is_file():
            return f"there is no {header.name}"
    return None
