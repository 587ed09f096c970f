"""A call of a C function with a choice of its results: what each method of a library runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import SignatureError
from .arguments import bind
from .batch import Batch, stays_alone
from .direct import Direct
from .function import Function
from .memory import Workspaces
from .results import Results
from .threads import count_threads


class Call:
    """``function`` with the last ``count`` groups of its outputs.

    Args:
        function: what is called.
        count: 1 for the derivative alone.
        workspaces: the library's.
        report: is told of a status that is not 0.
    """

    def __init__(self, function: Function, count: int, workspaces: Workspaces, report: Callable[[int], None]) -> None:
        self.function = function
        self._results = Results(function, count)
        self._workspaces = workspaces
        self._report = report
        self._direct = Direct(function, self._results, workspaces, report)
        self._new, self._into = self._direct.new, self._direct.into
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

    def arrays(self, given: Sequence[Any], out: Any = None, threads: Any = None) -> list[np.ndarray]:
        """The results one by one, for any arguments; copies those that C can't read or write where they lie."""
        threads = count_threads(threads)
        function, results = self.function, self._results
        inputs = [port.array(a, function.library) for port, a in zip(function.inputs, given, strict=True)]
        lead = self._lead(inputs)
        outs = [None] * len(results.ports) if out is None else results.unpack(out)
        if out is not None:
            results.check(outs, lead, given)
        written = [
            np.empty(lead + port.shape, port.dtype) if own is None or not own.flags.c_contiguous else own
            for port, own in zip(results.ports, outs, strict=True)
        ]
        points = math.prod(lead)
        if points and stays_alone(function, points):
            self._direct.remember(points, inputs, written)
        if points:
            everything = [*[None] * results.skipped, *written]
            status = Batch(function, self._workspaces, points, inputs, everything).evaluate(threads)
            if status:
                self._report(status)
        for own, array in zip(outs, written, strict=True):
            if own is not None and own is not array:
                own[...] = array
        return [array if own is None else own for own, array in zip(outs, written, strict=True)]

    def _lead(self, inputs: Sequence[np.ndarray]) -> tuple[int, ...]:
        """The shape of the batch, which all inputs must have."""
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
