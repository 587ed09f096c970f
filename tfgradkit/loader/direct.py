"""The quick way into C: for arrays that it can use as they are, of shapes that were seen before.

A point of a small model takes C a microsecond, and each thing that Python does a tenth of it. So what can be
known is looked up ahead, and the function for a number of arguments and results is written out without
loops, as dataclasses are. The C function is called without argument types: every argument is a
ctypes object already, and needs no conversion.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .function import Function
from .memory import Workspaces, address_of
from .results import Results

# Shapes that are remembered.
_MOST = 64


class Direct:
    """``function`` with the outputs of ``results``, for arguments of known shapes.

    Attributes:
        new: of the arguments: the packed results, or None where the arguments need the slow way.
        into: the same, of the arguments and the arrays for the results.
    """

    def __init__(
        self, function: Function, results: Results, workspaces: Workspaces, report: Callable[[int], None]
    ) -> None:
        self._known: dict[tuple[int, ...], tuple[Any, ...]] = {}
        names: dict[str, Any] = {
            **{f"dtype_{i}": port.dtype for i, port in enumerate((*function.inputs, *results.ports))},
            "apart": _apart,
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
        self.new = _written(names, *shape, out=False)
        self.into = _written(names, *shape, out=True)

    def remember(self, points: int, inputs: Sequence[np.ndarray], results: Sequence[np.ndarray]) -> None:
        """Keeps the shapes of a call for one thread; an empty array has no address to ask for."""
        if not all(array.size for array in (*inputs, *results)):
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        shapes = (array.shape for array in (*inputs[1:], *results))
        self._known[inputs[0].shape] = (ctypes.c_int64(points), *shapes)


def _written(names: dict[str, Any], arity: int, count: int, skipped: int, plain: bool, *, out: bool) -> Any:
    """The function for so many arguments and results; ``out``: of the arrays for the results, too."""
    xs, ys = [f"x{i}" for i in range(arity)], [f"y{i}" for i in range(count)]
    dtypes = dict(zip((*xs, *ys), (f"dtype_{i}" for i in range(arity + count)), strict=True))
    given = [*xs, *ys] if out else xs
    foreign = (f"type({a}) is not ndarray or {a}.dtype is not {dtypes[a]}" for a in given)
    places = [f"at_{x}" for x in xs] + ["None"] * skipped + [f"at_{y}" for y in ys]
    written = f"{', '.join(ys)}," if count > 1 or not plain else ys[0]
    lines = [
        "def run(given, outs=()):",
        f"  {', '.join(xs)}, = given",
        *([f"  if len(outs) != {count}: return None", f"  {', '.join(ys)}, = outs"] if out else []),
        f"  if {' or '.join(foreign)}: return None",
        "  plan = known.get(x0.shape)",
        "  if plan is None: return None",
        f"  {', '.join(['points', *(f'{a}_shape' for a in (*xs[1:], *ys))])}, = plan",
        *(f"  if {a}.shape != {a}_shape: return None" for a in given[1:]),
        "  try:",
        *(f"    at_{a} = at({a})" for a in given),
        "  except (TypeError, ValueError): return None",  # read-only, or not contiguous
        *(
            []
            if out
            else [line for y in ys for line in (f"  {y} = empty({y}_shape, {dtypes[y]})", f"  at_{y} = at({y})")]
        ),
        *(["  if not apart(given, outs): return None"] if out else []),
        f"  status = call(workspaces.pointer, points, {', '.join(places)})",
        "  if status: report(status)",
        f"  return {written}" if plain else f"  return pack(({written}))",
    ]
    namespace = names | {"__name__": __name__}
    exec(compile("\n".join(lines), f"<{__name__}>", "exec"), namespace)
    return namespace["run"]


def _apart(inputs: Sequence[np.ndarray], outs: Sequence[np.ndarray]) -> bool:
    """Whether no contiguous result begins or ends inside another array."""
    spans = [(address_of(array), array.nbytes) for array in inputs]
    for out in outs:
        start, size = address_of(out), out.nbytes
        for other, length in spans:
            if start < other + length and other < start + size:
                return False
        spans.append((start, size))
    return True
