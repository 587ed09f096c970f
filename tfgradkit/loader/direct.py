"""The quick way into C: for arrays that it can use as they are, of shapes that were seen before."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .function import Function
from .memory import Workspaces

# Shapes that are remembered.
_MOST = 64


@dataclass
class Plans:
    """What calls with few points have in common, by the shape of the first argument.

    Attributes:
        known: the number of points for C, the shape of each argument, and that of each result.
    """

    known: dict[tuple[int, ...], tuple[Any, tuple[Any, ...], tuple[Any, ...]]] = field(default_factory=dict)

    def remember(self, points: int, inputs: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
        """Keeps the shapes of a call for one thread; an empty array has no address to ask for."""
        if not all(array.size for array in (*inputs, *results)):
            return
        if len(self.known) >= _MOST:
            self.known.clear()
        shapes = tuple(array.shape for array in inputs), tuple(array.shape for array in results)
        self.known[inputs[0].shape] = (ctypes.c_int64(points), *shapes)


def direct(function: Function, skipped: int, workspaces: Workspaces, plans: Plans) -> Callable[..., Any]:
    """``function`` without its first ``skipped`` outputs, for arguments of known shapes.

    Of two microseconds in C one point of a small model takes about half; so all is looked up ahead, and
    what is checked is what tells these arguments from any others. The C function is called without
    argument types: every argument is a ctypes object already, and needs no conversion.

    Returns:
        A function of the arguments, and of the arrays for the results where the user gave them: the
        status and the results, or None where they need the slow way.
    """
    call = function.untyped
    known = plans.known
    nothing = (None,) * skipped
    dtype = function.inputs[0].dtype
    other_dtypes = tuple(port.dtype for port in function.inputs[1:])
    made_dtypes = tuple(port.dtype for port in function.outputs[skipped:])
    ndarray, empty = np.ndarray, np.empty
    at: Callable[[Any], Any] = (ctypes.c_char * 0).from_buffer

    def run(given: Sequence[Any], outs: Sequence[Any] | None = None) -> tuple[int, Sequence[np.ndarray]] | None:
        x = given[0]
        if type(x) is not ndarray or x.dtype is not dtype:
            return None
        plan = known.get(x.shape)
        if plan is None:
            return None
        points, shapes, made = plan
        if other_dtypes:
            for array, own, shape in zip(given[1:], other_dtypes, shapes[1:], strict=True):
                if type(array) is not ndarray or array.dtype is not own or array.shape != shape:
                    return None
        try:
            inputs = [*map(at, given)]
            if outs is None:
                results = tuple(map(empty, made, made_dtypes))
                return call(workspaces.pointer, points, *inputs, *nothing, *map(at, results)), results
            for array, own, shape in zip(outs, made_dtypes, made, strict=True):
                if type(array) is not ndarray or array.dtype is not own or array.shape != shape:
                    return None
            written = [*map(at, outs)]
        except (TypeError, ValueError):  # read-only, or not contiguous
            return None
        if not _apart(inputs, given, written, outs):
            return None
        return call(workspaces.pointer, points, *inputs, *nothing, *written), outs

    return run


def _apart(
    inputs: Sequence[Any], given: Sequence[np.ndarray], written: Sequence[Any], outs: Sequence[np.ndarray]
) -> bool:
    """Whether no contiguous result begins or ends inside another array."""
    spans = [(ctypes.addressof(at), array.nbytes) for at, array in zip(inputs, given, strict=True)]
    for at, array in zip(written, outs, strict=True):
        start, size = ctypes.addressof(at), array.nbytes
        for other, length in spans:
            if start < other + length and other < start + size:
                return False
        spans.append((start, size))
    return True
