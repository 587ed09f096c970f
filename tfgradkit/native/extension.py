"""The extension module in a library's folder, ``templates/python_call.c`` of ``export``: calls at the speed of C.

It holds nothing of the library: it takes the address of a C function and the ports. A folder whose export found no
headers, another Python, a lost or damaged file: then every call goes through ctypes, with the same results.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from .artifact import EXTENSION, is_unchanged
from .c_function import CFunction
from .call_results import ResultArrays
from .ports import ArrayPort, Workspaces

_MODULE = "_python_call"
# Of the module's make(): python_call.c has the same.
INTERFACE = 1
_keys = itertools.count(1)


def load_extension(folder: Path) -> tuple[ModuleType | None, str]:
    """The extension module of a library's folder; or None, and why not."""
    file = folder / EXTENSION
    if sys.implementation.name != "cpython" or "t" in sys.abiflags:  # objects of a free-threaded one are laid out anew
        return None, f"the extension is for CPython with its lock, this is {sys.implementation.name} {sys.abiflags}"
    if not file.is_file():
        return None, "there is no extension in the folder"
    if not is_unchanged(folder, EXTENSION):
        return None, f"{EXTENSION} was changed"
    try:
        module = _loaded(file)
    except Exception as error:  # an ImportError of the loader's or of NumPy's, and whatever its start may raise
        return None, f"{EXTENSION} can't be loaded: {error}"
    if getattr(module, "INTERFACE", None) != INTERFACE:
        return None, f"{EXTENSION} is of another version of tfgradkit"
    return module, ""


def _loaded(file: Path) -> ModuleType:
    """The module in a file, through a new name, for the reason that ``open_library`` has."""
    with tempfile.TemporaryDirectory() as work:
        link = Path(work) / file.name
        link.symlink_to(os.path.abspath(file))
        spec = spec_from_file_location(_MODULE, link, loader=ExtensionFileLoader(_MODULE, str(link)))
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


class DirectCalls:
    """Makes functions of Python that call a library's C functions.

    Args:
        module: the extension.
        workspaces: the library's.
        report: called with a status that is not 0.
        reduce: the library's ``__reduce__``.
    """

    def __init__(
        self,
        module: ModuleType,
        workspaces: Workspaces,
        report: Callable[[int], None],
        reduce: Callable[[], tuple[Any, ...]],
    ) -> None:
        self._make = module.make
        self._workspaces, self._report, self._reduce = workspaces, report, reduce
        self._key = next(_keys)

    def function(self, function: CFunction, count: int, slow: Callable[..., Any]) -> Any:
        """A function with the last ``count`` groups of outputs that hands on to ``slow`` what it can't do.

        Args:
            function: the C function.
            count: 1 for the derivative alone.
            slow: a method; the function has its name and docstring.

        Raises:
            ValueError: there are too many arrays, or too many axes, or an array is empty.
        """
        results = ResultArrays(function, count)
        return self._make(
            slow.__name__.encode(),
            f"{slow.__name__}({_SIGNATURES.get(function.kind, _PLAIN)})\n--\n\n{slow.__doc__}".encode(),
            slow.__module__,
            ctypes.cast(function.call, ctypes.c_void_p).value,
            _facts(function.inputs),
            _facts(results.ports),
            results.skipped,
            _keywords(function),
            True,
            2 * function.tile - 1,  # more may be worth a second thread
            self._key,
            self._workspaces,
            None if results.plain else results.pack,
            self._report,
            slow,
            self._reduce,
        )


_PLAIN = "*inputs, out=None, threads=None, **named"
_SIGNATURES = {
    "vjp": "*inputs, output_gradients=None, out=None, threads=None, **named",
    "jvp": "*inputs, tangents=None, out=None, threads=None, **named",
    "hvp": "*inputs, tangents=None, out=None, threads=None, **named",
}


def _facts(ports: tuple[ArrayPort, ...]) -> tuple[tuple[Any, ...], ...]:
    return tuple((port.dtype, port.shape) for port in ports)


def _keywords(function: CFunction) -> tuple[str | None, ...]:
    """The keyword of each input; several seeds have one keyword together, which only the slow way takes."""
    seeds = len(function.inputs) - function.num_inputs
    role = "output_gradients" if function.kind == "vjp" else "tangents"
    own = tuple(port.name for port in function.inputs[: function.num_inputs])
    return (*own, *([role] if seeds == 1 else [None] * seeds))
