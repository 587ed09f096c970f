"""A compiled library back in Python, with NumPy alone: ``load_native``. Imports no TensorFlow."""

from __future__ import annotations

import ctypes
import math
import os
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .artifact import open_library, read_metadata
from .comparison import relative_error
from .errors import LibraryError, SignatureError

_ALIGNMENT = 64


def load_native(path: str | os.PathLike[str]) -> NativeLibrary:
    """The library in the folder ``path``, as ``export_native`` wrote it.

    Raises:
        LibraryError: no library there, or not one for this machine.
        ChecksumError: a file was changed, or is missing.
    """
    return NativeLibrary(path)


class NativeLibrary:
    """A compiled model and its derivatives; a method for each kind in it.

    All methods take points of any leading shape:
    an ``x`` of the sample's own shape is one point, ``[n] + x`` are n, and so on. Arrays of
    another floating dtype are converted to the library's. Safe to call from several threads.

    Attributes:
        path: the folder.
        metadata: ``share/<name>/metadata.json``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.metadata = read_metadata(self.path)
        self.name: str = self.metadata["name"]
        self._library = open_library(self.path / self.metadata["files"]["shared"])
        self._dtype = np.dtype(self.metadata["dtype"])
        self._functions = {entry["kind"]: self._function(entry) for entry in self.metadata["functions"]}
        self._workspace_size = self._call_size("workspace_size")
        self._require_target()
        self._local = threading.local()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of derivative in the library, ``value`` first."""
        return tuple(self._functions)

    def value(self, x: Any) -> np.ndarray:
        """y, shaped ``[...] + y``."""
        return self._run("value", x)[0]

    def jacobian(self, x: Any) -> np.ndarray:
        """∂y/∂x, shaped ``[...] + y + x``."""
        return self._run("jacobian", x, skip=True)[1]

    def value_and_jacobian(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """``(y, ∂y/∂x)`` from one pass."""
        return self._run("jacobian", x)

    def vjp(self, x: Any, output_gradients: Any) -> np.ndarray:
        """uᵀ ∂y/∂x for u shaped like y; shaped like x."""
        return self._run("vjp", x, output_gradients, skip=True)[1]

    def value_and_vjp(self, x: Any, output_gradients: Any) -> tuple[np.ndarray, np.ndarray]:
        """``(y, uᵀ ∂y/∂x)`` from one pass."""
        return self._run("vjp", x, output_gradients)

    def jvp(self, x: Any, tangents: Any) -> np.ndarray:
        """(∂y/∂x) v for v shaped like x; shaped like y."""
        return self._run("jvp", x, tangents, skip=True)[1]

    def value_and_jvp(self, x: Any, tangents: Any) -> tuple[np.ndarray, np.ndarray]:
        """``(y, (∂y/∂x) v)`` from one pass."""
        return self._run("jvp", x, tangents)

    def gradient(self, x: Any) -> np.ndarray:
        """∇y of an output of one number; shaped like x."""
        return self._run("gradient", x, skip=True)[1]

    def value_and_gradient(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """``(y, ∇y)`` from one pass."""
        return self._run("gradient", x)

    def hessian(self, x: Any) -> np.ndarray:
        """∂²y/∂x², shaped ``[...] + y + x + x``; without y for an output of one number."""
        return self._run("hessian", x, skip=True)[2]

    def value_gradient_and_hessian(self, x: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``(y, ∂y/∂x, ∂²y/∂x²)`` from one pass."""
        return self._run("hessian", x)

    def hvp(self, x: Any, tangents: Any) -> np.ndarray:
        """(∇²y) v of an output of one number, for v shaped like x; shaped like x."""
        return self._run("hvp", x, tangents, skip=True)[1]

    def value_and_hvp(self, x: Any, tangents: Any) -> tuple[np.ndarray, np.ndarray]:
        """``(y, (∇²y) v)`` from one pass."""
        return self._run("hvp", x, tangents)

    def verify(self) -> dict[str, float]:
        """Runs the recorded points; the largest error of each result, relative to its magnitude.

        Raises:
            LibraryError: an error is above the tolerance in the metadata.
        """
        with np.load(self.path / self.metadata["files"]["vectors"]) as file:
            vectors = dict(file)
        errors = {}
        for entry in self.metadata["functions"]:
            results = self._run(entry["kind"], *(vectors[name] for name in entry["inputs"]))
            for name, result in zip(entry["outputs"], results, strict=True):
                error = relative_error(result, vectors[name], self.metadata["precision"])
                errors[f"{entry['kind']}.{name}"] = error
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

    def __repr__(self) -> str:
        return f"NativeLibrary({self.name!r}, {', '.join(self.kinds)}, {self._dtype})"

    def call(self, kind: str, x: Any, seed: Any = None) -> tuple[np.ndarray, ...]:
        """The function of any ``kind``: y, and the derivative where there is one."""
        return self._run(kind, x, seed)

    def _run(self, kind: str, x: Any, seed: Any = None, *, skip: bool = False) -> Any:
        """Calls a function; all results, or with ``skip`` all but y, which is then not written."""
        function = self._functions.get(kind)
        if function is None:
            raise LibraryError(
                "this library has no such function",
                subject=kind,
                expected=" | ".join(self._functions),
                hint=f"export it with derivatives=({kind!r},)",
            )
        name, sample = function.inputs[0]
        x = self._to_input(x, name, sample)
        lead = x.shape[: x.ndim - len(sample)]
        pointers: list[int | None] = [_address(x)]
        if len(function.inputs) > 1:
            seed = self._to_seed(seed, lead, *function.inputs[1])
            pointers.append(_address(seed))
        outputs = [
            None if skip and i == 0 else np.empty(lead + shape, self._dtype) for i, shape in enumerate(function.outputs)
        ]
        pointers += [None if array is None else _address(array) for array in outputs]
        status = function.call(self._workspace(), math.prod(lead), *pointers)
        if status:
            self._report(status)
        return tuple(outputs)

    def _to_input(self, array: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if type(array) is not np.ndarray:
            array = self._to_array(array, name)
        if array.dtype != self._dtype:
            if array.dtype.kind != "f":
                raise SignatureError(
                    f"{name} is not floating",
                    subject=self.name,
                    expected=str(self._dtype),
                    got=str(array.dtype),
                    hint=f"np.asarray({name}, float)",
                )
            array = array.astype(self._dtype)
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        rank = len(shape)
        if array.ndim < rank or array.shape[array.ndim - rank :] != shape:
            raise SignatureError(
                f"{name} has the wrong shape",
                subject=self.name,
                expected=f"[...] + {list(shape)}",
                got=list(array.shape),
            )
        return array

    def _to_array(self, given: Any, name: str) -> np.ndarray:
        if given is None:
            raise SignatureError(f"{name} is missing", subject=self.name)
        try:
            return np.asarray(given)
        except (TypeError, ValueError) as error:
            raise SignatureError(f"{name} can't be made an array", subject=self.name, got=str(error)) from error

    def _to_seed(self, seed: Any, lead: tuple[int, ...], name: str, shape: tuple[int, ...]) -> np.ndarray:
        seed = self._to_input(seed, name, shape)
        if seed.shape != lead + shape:
            raise SignatureError(
                f"{name} has the wrong shape", subject=self.name, expected=list(lead + shape), got=list(seed.shape)
            )
        return seed

    def _workspace(self) -> int:
        try:
            return self._local.address
        except AttributeError:
            self._local.memory = ctypes.create_string_buffer(self._workspace_size + _ALIGNMENT)
            address = ctypes.addressof(self._local.memory)
            self._local.address = address + -address % _ALIGNMENT
            return self._local.address

    def _report(self, status: int) -> None:
        text = self._status_text(status)
        if status < 0:
            raise LibraryError("the library refused the call", subject=self.name, got=f"status {status}: {text}")
        warnings.warn(f"{self.name}: {text} (status {status})", RuntimeWarning, stacklevel=4)

    def _status_text(self, status: int) -> str:
        function = self._symbol("status_text")
        function.restype = ctypes.c_char_p
        return function(status).decode()

    def _symbol(self, function: str) -> Any:
        try:
            return self._library[f"{self.name}_{function}"]
        except AttributeError as error:
            raise LibraryError("the library lacks a function", subject=self.path, got=str(error)) from error

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

    def _call_size(self, function: str) -> int:
        symbol = self._symbol(function)
        symbol.restype = ctypes.c_size_t
        return symbol()

    def _function(self, entry: dict[str, Any]) -> _Function:
        call = self._symbol(entry["kind"])
        call.restype = ctypes.c_int
        call.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int64,
            *[ctypes.c_void_p] * (len(entry["inputs"]) + len(entry["outputs"])),
        ]
        shapes = {port["name"]: tuple(port["shape"]) for port in self.metadata["arrays"]}
        return _Function(call, [(n, shapes[n]) for n in entry["inputs"]], [shapes[n] for n in entry["outputs"]])


class _Function:
    """A C function with what its arguments look like."""

    __slots__ = ("call", "inputs", "outputs")

    def __init__(self, call: Any, inputs: list[tuple[str, tuple[int, ...]]], outputs: list[tuple[int, ...]]) -> None:
        self.call = call
        self.inputs = inputs
        self.outputs = outputs


def _address(array: np.ndarray) -> int:
    """Where the array's data lies. A third of the time of ``__array_interface__``, where it can be had."""
    try:
        return _addressof(_at_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, or empty
        return array.__array_interface__["data"][0]


_addressof = ctypes.addressof
_at_buffer = ctypes.c_char.from_buffer
