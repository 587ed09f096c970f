"""The C functions of a library, as its metadata describes them.

What a method of a library was given, in the order of its C function's inputs.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import SignatureError
from .ports import ArrayPort

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
    inputs: tuple[ArrayPort, ...]
    outputs: tuple[ArrayPort, ...]
    num_inputs: int
    groups: tuple[int, ...]
    tile: int
    seconds: float | None = field(default=None, compare=False)


def read_functions(metadata: dict[str, Any], symbol: Symbol) -> dict[str, Function]:
    """The functions of a library by kind; ``symbol`` finds a C function by its name without the prefix."""
    ports = {
        port["name"]: ArrayPort(port["name"], tuple(port["shape"]), np.dtype(port["dtype"]))
        for port in metadata["arrays"]
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


def bind(function: Function, inputs: tuple[Any, ...], named: Mapping[str, Any], seed: Any = None) -> tuple[Any, ...]:
    """An argument for each input of ``function``.

    Args:
        function: the C function.
        inputs: the model's inputs by position; seeds may follow.
        named: the model's inputs that were given by name.
        seed: output_gradients or tangents: one array, or where there are several a sequence, or a
            dict by the names of the outputs or inputs they belong to.

    Raises:
        SignatureError: one too many, one missing, or one that isn't known.
    """
    own, count = function.inputs[: function.num_inputs], function.num_inputs
    seeds = function.inputs[count:]
    given = dict(zip((port.name for port in own), inputs, strict=False))
    after = inputs[count:]
    if named:
        _check_names(function, given, named)
        given.update(named)
    if missing := [port.name for port in own if given.get(port.name) is None]:
        raise SignatureError(f"{missing[0]} is missing", subject=_signature(function))
    if after and (seed is not None or not seeds or len(after) not in (1, len(seeds))):
        raise SignatureError("there are too many arguments", subject=_signature(function), got=len(inputs))
    if after:
        seed = after[0] if len(after) == 1 else after
    return (*(given[port.name] for port in own), *_spread(function, seed, seeds))


def _check_names(function: Function, given: Mapping[str, Any], named: Mapping[str, Any]) -> None:
    own = [port.name for port in function.inputs[: function.num_inputs]]
    for name in named:
        if name not in own or name in given:
            what = "is given twice" if name in given else "is no argument"
            raise SignatureError(f"{name} {what}", subject=_signature(function), expected=", ".join(own))


def _spread(function: Function, seed: Any, ports: Sequence[ArrayPort]) -> Sequence[Any]:
    """One seed for each of ``ports``."""
    if not ports:
        return ()
    if isinstance(seed, Mapping):
        by_name = {_seed_name(function, port): port for port in ports}
        if set(seed) == set(by_name):
            return [seed[name] for name in by_name]
        raise SignatureError(
            f"{_role(function)} has other names",
            subject=_signature(function),
            expected=", ".join(by_name),
            got=", ".join(map(str, seed)),
        )
    if len(ports) == 1:
        return (seed,)
    if isinstance(seed, (tuple, list)) and len(seed) == len(ports):
        return seed
    raise SignatureError(
        f"{_role(function)} must be {len(ports)} arrays",
        subject=_signature(function),
        expected=f"a tuple, or a dict by {', '.join(_seed_name(function, port) for port in ports)}",
        got=f"{len(seed)} arrays" if isinstance(seed, (tuple, list)) else type(seed).__name__,
    )


def _role(function: Function) -> str:
    return "output_gradients" if function.kind == "vjp" else "tangents"


def _seed_name(function: Function, port: ArrayPort) -> str:
    """The name of the output or input that a seed belongs to."""
    values = (
        function.outputs[: function.groups[0]] if function.kind == "vjp" else function.inputs[: function.num_inputs]
    )
    alone = len(values) == 1
    return values[0].name if alone else port.name.removeprefix(f"{_role(function)}_")


def _signature(function: Function) -> str:
    arguments = [port.name for port in function.inputs[: function.num_inputs]]
    seeds = [_role(function)] if len(function.inputs) > function.num_inputs else []
    return f"{function.library}.{function.kind}({', '.join(arguments + seeds)})"
