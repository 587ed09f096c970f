"""The keywords that say how a derivative is computed, and what their values may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import SignatureError

Mode = Literal["auto", "forward", "reverse"]
Strategy = Literal["auto", "vectorize", "tile", "loop"]
Unconnected = Literal["zero", "none", "raise"]
ChunkSize = int | Literal["auto"] | None
JitCompile = bool | Literal["auto"]

_CHOICES = {"mode": Mode, "strategy": Strategy, "unconnected": Unconnected}


@dataclass(frozen=True)
class Options:
    """The keywords all operators share; see :mod:`tfgradkit.derivatives.operators`."""

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
    # Of as many inputs as outputs, TensorFlow takes a fifth less time in reverse. Compiled, it is the same, but
    # forward every matrix product keeps the layout of the forward pass, which the C library needs.
    tie: Literal["forward", "reverse"] = "reverse"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            _check(name, getattr(self, name), get_args(choices))
        _check("jit_compile", self.jit_compile, (True, False, "auto"))
        _check("has_aux", self.has_aux, (True, False))
        if self.chunk_size not in (None, "auto"):
            _check_count("chunk_size", self.chunk_size, 'None | "auto" | passes at a time, from 1 on')
        if self.memory_limit is not None:
            _check_count("memory_limit", self.memory_limit, "None | bytes, from 1 on")
        self._check_argnums()

    @property
    def by_inputs(self) -> bool:
        """Whether the arguments are what is differentiated by."""
        return isinstance(self.wrt, str) and self.wrt == "inputs"

    @property
    def limited(self) -> bool:
        """Whether the memory of intermediate results is bounded."""
        return self.chunk_size == "auto" or self.memory_limit is not None

    @property
    def positions(self) -> tuple[int, ...]:
        """``argnums`` as a tuple."""
        return self.argnums if isinstance(self.argnums, tuple) else (self.argnums,)

    def _check_argnums(self) -> None:
        if isinstance(self.argnums, list):
            object.__setattr__(self, "argnums", tuple(self.argnums))
        positions = self.positions
        whole = all(isinstance(p, int) and not isinstance(p, bool) for p in positions)
        if not whole or not positions or len(set(positions)) != len(positions):
            raise SignatureError(
                "argnums picks no arguments",
                expected="a position, or a tuple of different ones",
                got=repr(self.argnums),
            )


def _check(name: str, value: object, choices: Sequence[object]) -> None:
    # 1 == True, but it is none of the choices.
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        raise SignatureError("no such choice", subject=name, expected=" | ".join(map(_shown, choices)), got=repr(value))


def _shown(choice: object) -> str:
    return f'"{choice}"' if isinstance(choice, str) and choice == "auto" else str(choice)


def _check_count(name: str, value: object, expected: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SignatureError("no such number", subject=name, expected=expected, got=repr(value))
