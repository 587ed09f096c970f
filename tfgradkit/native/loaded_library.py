"""A loaded library: its functions by kind, its statuses, its recorded points."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..comparison import absolute_error, relative_error
from ..errors import LibraryError
from .artifact import open_library, read_metadata, verify_checksums
from .c_function import CFunction, bind, read_functions
from .calls import NativeCall
from .extension import DirectCalls, load_extension
from .ports import Workspaces

_PACKAGE = __package__.split(".")[0]
# The choice of a function's results: the last group, or all groups.
DERIVATIVE, ALL = False, True
# The methods of all groups where they aren't called value_and_<kind>.
_TWINS = {"value": "value", "hessian": "value_gradient_and_hessian"}


class RoundingError(NamedTuple):
    """The largest error of a result over all recorded points.

    Attributes:
        relative: to the largest magnitude of each component over the points.
        absolute: of any component.
    """

    relative: float
    absolute: float


class _Calls(dict[tuple[str, bool], NativeCall]):
    """Calls by kind and choice of results."""

    def __init__(self, functions: dict[str, CFunction]) -> None:
        self._functions = functions

    def __missing__(self, key: tuple[str, bool]) -> NativeCall:
        raise LibraryError(
            "this library has no such function",
            subject=key[0],
            expected=" | ".join(self._functions),
            hint=f"export it with derivatives=({key[0]!r},)",
        )


class Library:
    """The functions of the library in the folder ``path``, by their kinds.

    Attributes:
        path: the folder.
        name: of the library.
        metadata: ``share/<name>/metadata.json``.
        binding: how Python reaches the C functions: "extension", a module in the folder, at less than a microsecond a
            call, or "ctypes", at a few. The results are the same; ``repr`` says why it is ctypes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.metadata = read_metadata(self.path)
        self.name: str = self.metadata["name"]
        self._library = open_library(self.path / self.metadata["files"]["shared"])
        workspaces = Workspaces(self._workspace_size())
        self._require_target()
        self._functions = read_functions(self.metadata, self._symbol)
        self._calls = _Calls(self._functions)
        for kind, function in self._functions.items():
            self._calls[kind, DERIVATIVE] = NativeCall(function, 1, workspaces, self._report)
            self._calls[kind, ALL] = NativeCall(function, len(function.groups), workspaces, self._report)
        module, self._why_ctypes = load_extension(self.path)
        self.binding: str = "ctypes" if module is None else "extension"
        if module is not None:
            self._call_directly(DirectCalls(module, workspaces, self._report, self.__reduce__))

    def _call_directly(self, calls: DirectCalls) -> None:
        """Puts functions of the extension before the methods, but for those that a subclass has written anew."""
        for kind, function in self._functions.items():
            for name, count in ((kind, 1), (_TWINS.get(kind, f"value_and_{kind}"), len(function.groups))):
                method = getattr(self, name, None)
                if method is not None and method.__module__.split(".")[0] == _PACKAGE:
                    with suppress(ValueError):  # more arrays than the extension takes, or an empty one
                        setattr(self, name, calls.function(function, count, method))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of derivative in the library, ``value`` first."""
        return tuple(self._functions)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The model's inputs, in their order."""
        return tuple(port.name for port in self._functions["value"].inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The model's outputs, in their order."""
        return tuple(port.name for port in self._functions["value"].outputs)

    def call(self, kind: str, *arrays: Any, threads: Any = None) -> tuple[np.ndarray, ...]:
        """The C function of a ``kind`` with its arrays in the header's order: every output, in that order."""
        call = self._calls[kind, ALL]
        return tuple(call.arrays(bind(call.function, arrays, {}), None, threads))

    def verify(self) -> dict[str, float]:
        """The largest error of each result at the recorded points, relative to its magnitude.

        Raises:
            LibraryError: an error is above the tolerance in the metadata.
            ChecksumError: a file of the folder was changed, the extension for Python included.
        """
        verify_checksums(self.path, extension=True)
        vectors = self._arrays("vectors")
        errors = {
            f"{kind}.{name}": relative_error(result, vectors[name], self.metadata["precision"])
            for kind, name, result in self._at_recorded_points(vectors)
        }
        worst = max(errors, key=lambda key: errors[key])
        if not errors[worst] <= self.metadata["tolerance"]:
            raise LibraryError(
                "the library disagrees with its recorded answers",
                subject=f"{self.path}, {worst}",
                expected=f"a relative error of at most {self.metadata['tolerance']:g}",
                got=f"{errors[worst]:.3g}",
                hint="the machine may lack instructions it was compiled for: export it again here",
            )
        return errors

    def errors_against_float64(self) -> dict[str, RoundingError]:
        """What float32 costs: the largest errors of each result at the recorded points, against float64.

        The reference is the same network, its weights and the points cast up from float32 and everything evaluated in
        float64. A result is missing where that couldn't be; ``metadata["error_against_float64"]["not_evaluated"]`` says
        why. Empty for a library that is float64 throughout.
        """
        if "vectors_float64" not in self.metadata["files"]:
            return {}
        expected, precision = self._arrays("vectors_float64"), self.metadata["precision"]
        return {
            f"{kind}.{name}": RoundingError(
                relative_error(result, expected[name], precision), absolute_error(result, expected[name])
            )
            for kind, name, result in self._at_recorded_points(self._arrays("vectors"))
            if name in expected
        }

    def _arrays(self, file: str) -> dict[str, np.ndarray]:
        with np.load(self.path / self.metadata["files"][file]) as arrays:
            return dict(arrays)

    def _at_recorded_points(self, vectors: dict[str, np.ndarray]) -> Iterator[tuple[str, str, np.ndarray]]:
        """Every result: the kind of its function, its name, the numbers."""
        for entry in self.metadata["functions"]:
            results = self.call(entry["kind"], *(vectors[name] for name in entry["inputs"]))
            for name, result in zip(entry["outputs"], results, strict=True):
                yield entry["kind"], name, result

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path.absolute(),)  # another process opens the folder again

    def __repr__(self) -> str:
        dtypes = dict.fromkeys(str(port.dtype) for port in self._functions["value"].outputs)
        binding = f"{self.binding}: {self._why_ctypes}" if self._why_ctypes else self.binding
        return f"NativeLibrary({self.name!r}, {', '.join(self.kinds)}, {', '.join(dtypes)}, {binding})"

    def _report(self, status: int) -> None:
        function = self._symbol("status_text")
        function.restype = ctypes.c_char_p
        text = function(status).decode()
        if status < 0:
            raise LibraryError("the library refused the call", subject=self.name, got=f"status {status}: {text}")
        warnings.warn(f"{self.name}: {text} (status {status})", RuntimeWarning, stacklevel=_user_stack_level())

    def _symbol(self, function: str) -> Any:
        try:
            return self._library[f"{self.name}_{function}"]
        except AttributeError as error:
            raise LibraryError("the library lacks a function", subject=self.path, got=str(error)) from error

    def _workspace_size(self) -> int:
        symbol = self._symbol("workspace_size")
        symbol.restype = ctypes.c_size_t
        return symbol()

    def _require_target(self) -> None:
        function = self._symbol("target")
        function.restype = ctypes.c_char_p
        if function() == b"none":
            raise LibraryError(
                "this library can't run on this processor",
                subject=self.path,
                expected=" or ".join(target["name"] for target in self.metadata["targets"]),
                got=os.environ.get(f"{self.name.upper()}_TARGET") or "a processor that has less",
                hint='export it with targets=("host",) here, or ("x86-64",) for every machine',
            )


def _user_stack_level() -> int:
    """The number of frames up to the user's code, for a warning that names its line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level
