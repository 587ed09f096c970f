"""The C functions of a library, as its metadata describes them."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .port import Port

Symbol = Callable[[str], Any]


@dataclass
class Function:
    """A C function, and what its arguments are.

    Attributes:
        library: the library's name.
        call: the C function: workspace, n, the addresses of inputs and outputs.
        untyped: the same for arguments that are ctypes objects or None.
        inputs: the model's inputs, then the seeds.
        outputs: the model's outputs, then the blocks of its derivative.
        num_inputs: how many inputs are the model's.
        groups: how many outputs are values, first and second derivatives.
        tile: points that one run of the compiled program evaluates; parts of a batch that begin
            at a multiple of it are computed as they are in the whole batch.
        seconds: a point takes in a large batch, the best seen so far; None before the first.
    """

    library: str
    kind: str
    call: Any
    untyped: Any
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    num_inputs: int
    groups: tuple[int, ...]
    tile: int
    seconds: float | None = field(default=None, compare=False)


def read_functions(metadata: dict[str, Any], symbol: Symbol) -> dict[str, Function]:
    """The functions of a library by kind; ``symbol`` finds a C function by its name without the prefix."""
    ports = {
        port["name"]: Port(port["name"], tuple(port["shape"]), np.dtype(port["dtype"])) for port in metadata["arrays"]
    }
    entries = {entry["kind"]: entry for entry in metadata["functions"]}
    return {
        kind: Function(
            metadata["name"],
            kind,
            _typed(symbol(kind), len(entry["inputs"]) + len(entry["outputs"])),
            symbol(kind),
            tuple(ports[name] for name in entry["inputs"]),
            tuple(ports[name] for name in entry["outputs"]),
            len(entries["value"]["inputs"]),
            output_groups(metadata, entry),
            _tile(entry.get("tile_points", metadata.get("tile_points"))),
        )
        for kind, entry in entries.items()
    }


def output_groups(metadata: dict[str, Any], entry: dict[str, Any]) -> tuple[int, ...]:
    """How many of a function's outputs are values, first and second derivatives."""
    value = next(each for each in metadata["functions"] if each["kind"] == "value")
    count, values = len(entry["outputs"]), len(value["outputs"])
    if entry["kind"] == "value":
        return (values,)
    if entry["kind"] == "hessian":  # between value and Hessian a block of the Jacobian for each pair
        first = values * len(value["inputs"])
        return values, first, count - values - first
    return values, count - values


def _tile(points: int | dict[str, int]) -> int:
    """A number of points that whole tiles fill, whichever target the library runs."""
    return math.lcm(*points.values()) if isinstance(points, dict) else points


def _typed(call: Any, arrays: int) -> Any:
    call.restype = ctypes.c_int
    call.argtypes = [ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * arrays]
    return call
