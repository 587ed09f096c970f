"""The results of a call: which outputs of a function, new or in the user's arrays, and packed in which form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import SignatureError
from .c_function import CFunction
from .ports import ArrayPort, overlap


class ResultArrays:
    """The last ``count`` groups of a function's outputs.

    A group is the values, the first derivatives, or the second derivatives. A group of one output is an array, a
    group of several outputs a dict by their names; several groups are a tuple.

    Attributes:
        ports: the outputs.
        skipped: the number of outputs in front of them, which are not written.
        plain: whether each group has one output.
    """

    def __init__(self, function: CFunction, count: int) -> None:
        groups = function.groups[len(function.groups) - count :]
        self.skipped = len(function.outputs) - sum(groups)
        self.ports = function.outputs[self.skipped :]
        self._subject = f"{function.library}.{function.kind}"
        self._groups = groups
        self.plain = all(size == 1 for size in groups)

    def pack(self, arrays: Sequence[np.ndarray]) -> Any:
        """The arrays in the form of the user's result."""
        if self.plain:
            return arrays[0] if len(arrays) == 1 else tuple(arrays)
        rest = iter(arrays)
        packed = [self._packed(ports, rest) for ports in self._by_group()]
        return packed[0] if len(packed) == 1 else tuple(packed)

    def unpack(self, out: Any) -> list[Any]:
        """The user's ``out`` as an entry for each output; None for a new array.

        Raises:
            SignatureError: it has another form.
        """
        groups = list(self._by_group())
        outs = [out] if len(groups) == 1 and not isinstance(out, tuple) else out
        if not isinstance(outs, (tuple, list)) or len(outs) != len(groups):
            raise SignatureError(
                "out has another form than the result",
                subject=self._subject,
                expected=f"a tuple of {len(groups)}",
                got=f"{len(outs)} entries" if isinstance(outs, (tuple, list)) else type(outs).__name__,
            )
        return [entry for part, ports in zip(outs, groups, strict=True) for entry in self._unpacked(part, ports)]

    def check(self, outs: Sequence[Any], lead: tuple[int, ...], inputs: Sequence[Any]) -> None:
        """Raises :class:`SignatureError` where a result can't be written into its entry of ``outs``."""
        taken = [(f"input {i + 1}", array) for i, array in enumerate(inputs) if isinstance(array, np.ndarray)]
        for port, out in zip(self.ports, outs, strict=True):
            if out is None:
                continue
            port.check_out(out, lead, self._subject)
            for name, other in taken:
                if overlap(out, other):
                    raise SignatureError(
                        f"out for {port.name} overlaps {name}",
                        subject=self._subject,
                        expected="memory of its own",
                        hint="give a copy, or leave out= away",
                    )
            taken.append((f"out for {port.name}", out))

    def _by_group(self) -> Iterator[tuple[ArrayPort, ...]]:
        start = 0
        for size in self._groups:
            yield self.ports[start : start + size]
            start += size

    def _packed(self, ports: tuple[ArrayPort, ...], arrays: Iterator[np.ndarray]) -> Any:
        return next(arrays) if len(ports) == 1 else {port.name: next(arrays) for port in ports}

    def _unpacked(self, out: Any, ports: tuple[ArrayPort, ...]) -> list[Any]:
        names = [port.name for port in ports]
        if len(ports) == 1:
            return [out]
        if out is None:
            return [None] * len(ports)
        if not isinstance(out, Mapping) or not set(out) <= set(names):
            raise SignatureError(
                "out has another form than the result",
                subject=self._subject,
                expected=f"a dict by {', '.join(names)}",
                got=", ".join(map(str, out)) if isinstance(out, Mapping) else type(out).__name__,
            )
        return [out.get(name) for name in names]
