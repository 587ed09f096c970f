"""A call of a C function with a choice of its results, through ctypes: the code behind each method of a library.

Where the library's folder has an extension (``extension.py``), that is asked first, and what it leaves comes here.

:class:`NativeCall` takes any arguments. :class:`FastCall` takes arrays that C can use as they are, of shapes that
:class:`NativeCall` has seen before. C needs a microsecond for a point of a small model, and Python a tenth of it for
each step. So shapes and dtypes are looked up ahead, and the function for a number of arguments and results is
generated without loops, as dataclasses generate theirs. The C function is called without argument types: every
argument is a ctypes object already, and needs no conversion.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import SignatureError
from .batch import Batch, count_threads, one_thread_suffices
from .c_function import CFunction, bind
from .call_results import ResultArrays
from .ports import Workspaces, address_of

# The number of shapes that are remembered.
_MAX_SHAPES = 64


class NativeCall:
    """``function`` with the last ``count`` groups of its outputs.

    Args:
        function: the C function.
        count: 1 for the derivative alone.
        workspaces: the library's.
        report: called with a status that is not 0.
    """

    def __init__(self, function: CFunction, count: int, workspaces: Workspaces, report: Callable[[int], None]) -> None:
        self.function = function
        self._results = ResultArrays(function, count)
        self._workspaces = workspaces
        self._report = report
        self._fast_call = FastCall(function, self._results, workspaces, report)
        self._new, self._into = self._fast_call.new, self._fast_call.into
        self._arity = len(function.inputs)

    def __call__(
        self, inputs: tuple[Any, ...], named: dict[str, Any], seed: Any = None, out: Any = None, threads: Any = None
    ) -> Any:
        """The results, packed.

        Raises:
            SignatureError: an argument that doesn't fit.
            LibraryError: the library refused the call.
        """
        if named or seed is not None or len(inputs) != self._arity:
            inputs = bind(self.function, inputs, named, seed)
        if threads is not None and threads != 1:
            threads = count_threads(threads)
        if out is None:
            results = self._new(inputs)
        else:
            results = self._into(inputs, out if type(out) is tuple else (out,)) if self._results.plain else None
        return self._results.pack(self.arrays(inputs, out, threads)) if results is None else results

    def arrays(self, arguments: Sequence[Any], out: Any = None, threads: Any = None) -> list[np.ndarray]:
        """The results one by one; an argument or ``out`` that C can't use where it lies is copied."""
        threads = count_threads(threads)
        function, results = self.function, self._results
        inputs = [port.array(a, function.library) for port, a in zip(function.inputs, arguments, strict=True)]
        lead = self._lead(inputs)
        outs = [None] * len(results.ports) if out is None else results.unpack(out)
        if out is not None:
            results.check(outs, lead, arguments)
        written = [
            np.empty(lead + port.shape, port.dtype) if own is None or not own.flags.c_contiguous else own
            for port, own in zip(results.ports, outs, strict=True)
        ]
        points = math.prod(lead)
        if points and one_thread_suffices(function, points):
            self._fast_call.remember(points, inputs, written)
        if points:
            outputs = [*[None] * results.skipped, *written]
            status = Batch(function, self._workspaces, points, inputs, outputs).evaluate(threads)
            if status:
                self._report(status)
        for own, array in zip(outs, written, strict=True):
            if own is not None and own is not array:
                own[...] = array
        return [array if own is None else own for own, array in zip(outs, written, strict=True)]

    def _lead(self, inputs: Sequence[np.ndarray]) -> tuple[int, ...]:
        """The leading axes, which all inputs must share."""
        function = self.function
        lead = inputs[0].shape[: inputs[0].ndim - len(function.inputs[0].shape)]
        for port, array in zip(function.inputs, inputs, strict=True):
            if array.shape != lead + port.shape:
                raise SignatureError(
                    f"{port.name} has the wrong shape",
                    subject=function.library,
                    expected=f"{list(lead + port.shape)}, as many points as {function.inputs[0].name} has",
                    got=list(array.shape),
                )
        return lead


class FastCall:
    """``function`` with the outputs of ``results``, for arguments of known shapes.

    Attributes:
        new: a function of the arguments that returns the packed results, or None where the arguments need the
            other way.
        into: the same, as a function of the arguments and the arrays for the results.
    """

    def __init__(
        self, function: CFunction, results: ResultArrays, workspaces: Workspaces, report: Callable[[int], None]
    ) -> None:
        self._known: dict[tuple[int, ...], tuple[Any, ...]] = {}
        names: dict[str, Any] = {
            **{f"dtype_{i}": port.dtype for i, port in enumerate((*function.inputs, *results.ports))},
            "apart": _are_apart,
            "at": (ctypes.c_char * 0).from_buffer,
            "call": function.untyped,
            "empty": np.empty,
            "known": self._known,
            "ndarray": np.ndarray,
            "pack": results.pack,
            "report": report,
            "workspaces": workspaces,
        }
        shape = len(function.inputs), len(results.ports), results.skipped, results.plain
        self.new = _generate(names, *shape, out=False)
        self.into = _generate(names, *shape, out=True)

    def remember(self, points: int, inputs: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
        """Remembers the shapes of a call on one thread, unless an array is empty and so has no address."""
        if not all(array.size for array in (*inputs, *results)):
            return
        if len(self._known) >= _MAX_SHAPES:
            self._known.clear()
        shapes = (array.shape for array in (*inputs[1:], *results))
        self._known[inputs[0].shape] = (ctypes.c_int64(points), *shapes)


def _generate(names: dict[str, Any], arity: int, count: int, skipped: int, plain: bool, *, out: bool) -> Any:
    """The generated function of ``arity`` arguments and ``count`` results; with ``out``, of the result arrays, too."""
    xs, ys = [f"x{i}" for i in range(arity)], [f"y{i}" for i in range(count)]
    dtypes = dict(zip((*xs, *ys), (f"dtype_{i}" for i in range(arity + count)), strict=True))
    arrays = [*xs, *ys] if out else xs
    foreign = (f"type({a}) is not ndarray or {a}.dtype is not {dtypes[a]}" for a in arrays)
    places = [f"at_{x}" for x in xs] + ["None"] * skipped + [f"at_{y}" for y in ys]
    written = f"{', '.join(ys)}," if count > 1 or not plain else ys[0]
    lines = [
        "def run(inputs, outs=()):",
        f"  {', '.join(xs)}, = inputs",
        *([f"  if len(outs) != {count}: return None", f"  {', '.join(ys)}, = outs"] if out else []),
        f"  if {' or '.join(foreign)}: return None",
        "  shapes = known.get(x0.shape)",
        "  if shapes is None: return None",
        f"  {', '.join(['points', *(f'{a}_shape' for a in (*xs[1:], *ys))])}, = shapes",
        *(f"  if {a}.shape != {a}_shape: return None" for a in arrays[1:]),
        "  try:",
        *(f"    at_{a} = at({a})" for a in arrays),
        "  except (TypeError, ValueError): return None",  # read-only, or not contiguous
        *(
            []
            if out
            else [line for y in ys for line in (f"  {y} = empty({y}_shape, {dtypes[y]})", f"  at_{y} = at({y})")]
        ),
        *(["  if not apart(inputs, outs): return None"] if out else []),
        f"  status = call(workspaces.pointer, points, {', '.join(places)})",
        "  if status: report(status)",
        f"  return {written}" if plain else f"  return pack(({written}))",
    ]
    namespace = names | {"__name__": __name__}
    exec(compile("\n".join(lines), f"<{__name__}>", "exec"), namespace)
    return namespace["run"]


def _are_apart(inputs: Sequence[np.ndarray], outs: Sequence[np.ndarray]) -> bool:
    """Whether no result shares memory with another array; all are contiguous."""
    spans = [(address_of(array), array.nbytes) for array in inputs]
    for out in outs:
        start, size = address_of(out), out.nbytes
        for other, length in spans:
            if start < other + length and other < start + size:
                return False
        spans.append((start, size))
    return True
