"""What a method of a library was given, in the order of its C function's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import SignatureError
from .function import Function
from .port import Port


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


def _spread(function: Function, seed: Any, ports: Sequence[Port]) -> Sequence[Any]:
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


def _seed_name(function: Function, port: Port) -> str:
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
