"""The keywords that say how a derivative is computed, and what their values may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ..errors import SignatureError

Mode = Literal["auto", "forward", "reverse"]
Strategy = Literal["auto", "vectorize", "tile", "loop"]
Unconnected = Literal["zero", "none", "raise"]
ChunkSize = int | Literal["auto"] | None
JitCompile = bool | Literal["auto"]
Verify = Literal["first", "differences", "off"]

_CHOICES: dict[str, Sequence[object]] = {
    "mode": get_args(Mode),
    "strategy": get_args(Strategy),
    "unconnected": get_args(Unconnected),
    "verify": get_args(Verify),
    "jit_compile": (True, False, "auto"),
    "has_aux": (True, False),
}


@dataclass(frozen=True)
class Options:
    """The keywords all operators share; see :mod:`tfgradkit.derivatives.keywords`."""

    argnums: int | tuple[int, ...] = 0
    wrt: Any = "inputs"
    of: str | None = None
    has_aux: bool = False
    mode: Mode = "auto"
    strategy: Strategy = "auto"
    chunk_size: ChunkSize = None
    memory_limit: int | None = None
    unconnected: Unconnected = "zero"
    jit_compile: JitCompile = "auto"
    verify: Verify = "first"
    # Of as many inputs as outputs, TensorFlow takes a fifth less time in reverse. Compiled, it is the same, but
    # forward every matrix product keeps the layout of the forward pass, which the C library needs.
    prefer_mode_when_equal: Literal["forward", "reverse"] = "reverse"
    # Derived from the keywords: whether arguments are differentiated by, whether the memory of intermediate results is
    # bounded, and argnums as a tuple.
    by_inputs: bool = field(init=False, repr=False)
    limited: bool = field(init=False, repr=False)
    positions: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            # 1 == True, but it is none of the choices.
            if not (isinstance(value, (str, bool, type(None))) and value in choices):
                expected = " | ".join(map(_shown, choices))
                raise SignatureError("no such choice", subject=name, expected=expected, got=repr(value))
        if self.chunk_size not in (None, "auto"):
            _check_count("chunk_size", self.chunk_size, 'None | "auto" | passes at a time, from 1 on')
        if self.memory_limit is not None:
            _check_count("memory_limit", self.memory_limit, "None | bytes, from 1 on")
        argnums = tuple(self.argnums) if isinstance(self.argnums, list) else self.argnums
        positions = argnums if isinstance(argnums, tuple) else (argnums,)
        whole = bool(positions)
        for position in positions:
            whole = whole and isinstance(position, int) and not isinstance(position, bool)
        if not whole or len(set(positions)) != len(positions):
            raise SignatureError(
                "argnums picks no arguments",
                expected="a position, or a tuple of different ones",
                got=repr(argnums),
            )
        derived = {
            "argnums": argnums,
            "positions": positions,
            "by_inputs": isinstance(self.wrt, str) and self.wrt == "inputs",
            "limited": self.chunk_size == "auto" or self.memory_limit is not None,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


def _shown(choice: object) -> str:
    return f'"{choice}"' if isinstance(choice, str) and choice == "auto" else str(choice)


def _check_count(name: str, value: object, expected: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SignatureError("no such number", subject=name, expected=expected, got=repr(value))
