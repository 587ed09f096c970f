"""The C functions of a library, as its metadata describe them, and the order of a call's arguments."""

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
class CFunction:
    """A C function and its arguments.

    Attributes:
        library: the library's name.
        call: the C function of workspace, n, and the addresses of inputs and outputs.
        untyped: the same function without argument types, for arguments that are ctypes objects or None.
        inputs: the model's inputs, then the seeds.
        outputs: the model's outputs, then the blocks of its derivative.
        num_inputs: how many inputs are the model's.
        groups: how many outputs are values, first and second derivatives.
        tile: the points that one run of the compiled program evaluates; a part of a batch that begins at a multiple
            of the tile has the same results as in the whole batch.
        seconds: the shortest time for a point in large batches so far; None before the first.
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


def read_functions(metadata: dict[str, Any], symbol: Symbol) -> dict[str, CFunction]:
    """The functions of a library by kind; ``symbol`` returns a C function by its name without the prefix."""
    ports = {
        port["name"]: ArrayPort(port["name"], tuple(port["shape"]), np.dtype(port["dtype"]))
        for port in metadata["arrays"]
    }
    entries = {entry["kind"]: entry for entry in metadata["functions"]}
    return {
        kind: CFunction(
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
    if entry["kind"] == "hessian":  # between value and Hessian stands a block of the Jacobian for each pair
        dtypes = {array["name"]: np.dtype(array["dtype"]) for array in metadata["arrays"]}
        first = values * sum(dtypes[name].kind == "f" for name in value["inputs"])
        return values, first, count - values - first
    return values, count - values


def _tile(points: int | dict[str, int]) -> int:
    """A number of points that whole tiles fill, whichever target the library runs."""
    return math.lcm(*points.values()) if isinstance(points, dict) else points


def _typed(call: Any, arrays: int) -> Any:
    call.restype = ctypes.c_int
    call.argtypes = [ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * arrays]
    return call


def bind(function: CFunction, inputs: tuple[Any, ...], named: Mapping[str, Any], seed: Any = None) -> tuple[Any, ...]:
    """An argument for each input of ``function``.

    Args:
        function: the C function.
        inputs: the model's inputs by position; seeds may follow.
        named: the model's inputs by name.
        seed: output_gradients or tangents: one array; for several, a sequence, or a dict by the names of the
            model's outputs or inputs.

    Raises:
        SignatureError: an argument too many, a missing argument, or an unknown name.
    """
    own, count = function.inputs[: function.num_inputs], function.num_inputs
    seeds = function.inputs[count:]
    by_name = dict(zip((port.name for port in own), inputs, strict=False))
    after = inputs[count:]
    if named:
        _check_names(function, by_name, named)
        by_name.update(named)
    if missing := [port.name for port in own if by_name.get(port.name) is None]:
        raise SignatureError(f"{missing[0]} is missing", subject=_signature(function))
    if after and (seed is not None or not seeds or len(after) not in (1, len(seeds))):
        raise SignatureError("there are too many arguments", subject=_signature(function), got=len(inputs))
    if after:
        seed = after[0] if len(after) == 1 else after
    return (*(by_name[port.name] for port in own), *_seed_arrays(function, seed, seeds))


def _check_names(function: CFunction, positional: Mapping[str, Any], named: Mapping[str, Any]) -> None:
    own = [port.name for port in function.inputs[: function.num_inputs]]
    for name in named:
        if name not in own or name in positional:
            what = "is given twice" if name in positional else "is no argument"
            raise SignatureError(f"{name} {what}", subject=_signature(function), expected=", ".join(own))


def _seed_arrays(function: CFunction, seed: Any, ports: Sequence[ArrayPort]) -> Sequence[Any]:
    """The seed of each of ``ports``, from the form that the user chose."""
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


def _role(function: CFunction) -> str:
    return "output_gradients" if function.kind == "vjp" else "tangents"


def _seed_name(function: CFunction, port: ArrayPort) -> str:
    """The name of the output or floating input that a seed belongs to."""
    if function.kind == "vjp":
        values = function.outputs[: function.groups[0]]
    else:
        values = tuple(port for port in function.inputs[: function.num_inputs] if port.dtype.kind == "f")
    alone = len(values) == 1
    return values[0].name if alone else port.name.removeprefix(f"{_role(function)}_")


def _signature(function: CFunction) -> str:
    arguments = [port.name for port in function.inputs[: function.num_inputs]]
    seeds = [_role(function)] if len(function.inputs) > function.num_inputs else []
    return f"{function.library}.{function.kind}({', '.join(arguments + seeds)})"
