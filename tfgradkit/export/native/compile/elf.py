"""ELF objects that the compiler wrote: the constants in them, and the symbols that they need.

Every program of a library carries its own copy of the weights. They are read back as bytes, so that equal weights
are stored once. Layout: the ELF-64 specification, chapters "Sections" and "Symbol Table".
"""

from __future__ import annotations

import struct
from pathlib import Path

from ....errors import CompilerError

_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SYMTAB = 2
# A constant is a uint64 with its size, then its bytes, aligned.
_DATA_AT = 64
_LIBC = {"memset", "memcpy", "memmove"}
_LIBM = {
    f + suffix
    for f in (
        *("exp", "log", "log1p", "expm1", "pow", "sin", "cos", "tan", "atan2", "tanh", "erf", "fmod", "cbrt"),
        # LLVM calls these for a sine and a cosine of the same number, and for some powers and logarithms.
        *("sincos", "exp2", "exp10", "log2", "log10", "hypot"),
        # Instructions from x86-64-v2 on, functions before.
        *("floor", "ceil", "trunc", "rint", "nearbyint", "round"),
    )
    for suffix in ("", "f")
}


def read_constants(data: bytes, prefix: str) -> list[bytes]:
    """Contents of the constants ``<prefix>_Constant_<i>…`` in order of i.

    Raises:
        CompilerError: not a little-endian ELF-64 object.
    """
    if not data:
        return []
    if data[:6] != b"\x7fELF\x02\x01":
        raise CompilerError("the compiler's constants are not a little-endian ELF-64 object", got=data[:6])
    sections = _sections(data)
    constants = {}
    for symbol, section, value in _symbols(data, sections):
        head, _, tail = symbol.partition("_Constant_")
        if 0 < section < len(sections) and head.endswith(prefix) and tail:
            start = sections[section][4] + value
            (size,) = struct.unpack_from("<Q", data, start)
            constants[int(tail.split("_")[0])] = data[start + _DATA_AT : start + _DATA_AT + size]
    return [constants[index] for index in sorted(constants)]


def _sections(data: bytes) -> list[tuple[int, ...]]:
    (offset,) = struct.unpack_from("<Q", data, 0x28)
    entry, count = struct.unpack_from("<HH", data, 0x3A)
    return [_SECTION.unpack_from(data, offset + i * entry) for i in range(count)]


def _symbols(data: bytes, sections: list[tuple[int, ...]]) -> list[tuple[str, int, int]]:
    """Name, section (0: undefined) and offset of each symbol."""
    symbols = []
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind != _SYMTAB:
            continue
        names = sections[link][4]
        for at in range(offset, offset + size, _SYMBOL.size):
            name, _, _, section, value, _ = _SYMBOL.unpack_from(data, at)
            end = data.index(b"\0", names + name)
            symbols.append((data[names + name : end].decode(), section, value))
    return symbols


def undefined_symbols(data: bytes) -> set[str]:
    """The symbols that an object file uses and doesn't define."""
    return {name for name, section, _ in _symbols(data, _sections(data)) if section == 0 and name}


def check_object(file: Path) -> None:
    """Refuses kernels that a library can't hold.

    Raises:
        CompilerError: there are none, or they call functions outside libc and libm.
    """
    if not file.exists():
        raise CompilerError("the graph compiler wrote nothing", subject=file.stem, expected=file.name)
    foreign = undefined_symbols(file.read_bytes()) - _LIBC - _LIBM
    if foreign:
        raise CompilerError(
            "the kernels need functions that the C library doesn't have",
            subject=file.name,
            got=", ".join(sorted(foreign)),
        )


def needs_libm(file: Path) -> bool:
    """Whether kernels call functions of libm."""
    return bool(undefined_symbols(file.read_bytes()) & _LIBM)
