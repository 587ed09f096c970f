"""A compiled function as plain records, read from the C++ header that the compiler writes.

The header spells out, as C++ for the stock run time, which kernels, copies, products and sorts run in which order,
and on which slices of which buffers. Each step begins with a comment that names its kind. Text that isn't understood
is an error, and never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ....errors import CompilerError

# 3 is the memory of one thread; every call has a workspace of its own anyway.
_KINDS = {0: "constant", 1: "temporary", 2: "port", 3: "temporary"}
_POINTER = r"reinterpret_cast<std::byte\*>\(buffer_table\[(\d+)\]\) \+ (\d+)"
# The same number as in templates/engine.h.
MAX_SORTED = 4
_BYTES = {"float": 4, "double": 8}


@dataclass(frozen=True)
class Slice:
    """``size`` bytes at ``offset`` of a numbered buffer."""

    buffer: int
    offset: int
    size: int


@dataclass(frozen=True)
class KernelCall:
    """A compiled kernel, run for each of its work groups."""

    symbol: str
    workgroups: tuple[int, int, int]
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Copy:
    """memcpy; both slices have the same size."""

    destination: Slice
    source: Slice

    @property
    def slices(self) -> tuple[Slice, ...]:
        """Both slices."""
        return self.destination, self.source


@dataclass(frozen=True)
class Dot:
    """A matrix product that did not become a kernel: column-major, ``out = op(lhs) op(rhs)``, m × n from k."""

    dtype: str
    out: Slice
    lhs: Slice
    rhs: Slice
    batch: int
    m: int
    n: int
    k: int
    transpose_lhs: bool
    transpose_rhs: bool

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The result and the operands."""
        return self.out, self.lhs, self.rhs


@dataclass(frozen=True)
class Sort:
    """A stable sort along the middle axis of ``shape``, by a compiled comparator; the arrays move together."""

    slices: tuple[Slice, ...]
    element_bytes: tuple[int, ...]
    shape: tuple[int, int, int]
    comparator: str


ProgramStep = KernelCall | Copy | Dot | Sort


@dataclass(frozen=True)
class Buffer:
    """``kind`` is "constant", "temporary" or "port" (an argument or a result)."""

    kind: str
    size: int


@dataclass(frozen=True)
class Program:
    """One compiled function.

    Attributes:
        name: prefix of its symbols.
        buffers: by number.
        steps: in order.
        arguments, results: buffer numbers by the names given to the compiler.
        constants: contents of the constant buffers, by buffer number.
    """

    name: str
    buffers: tuple[Buffer, ...]
    steps: tuple[ProgramStep, ...]
    arguments: dict[str, int]
    results: dict[str, int]
    constants: dict[int, bytes] = field(default_factory=dict)

    @property
    def kernels(self) -> tuple[str, ...]:
        """Symbols of the kernels in its steps, each once."""
        return tuple(dict.fromkeys(s.symbol for s in self.steps if isinstance(s, KernelCall)))

    @property
    def comparators(self) -> tuple[str, ...]:
        """Symbols of the comparators in its sorts, each once."""
        return tuple(dict.fromkeys(s.comparator for s in self.steps if isinstance(s, Sort)))


def read_header(text: str, name: str) -> Program:
    """The program that a header describes, without the contents of its constants.

    Raises:
        CompilerError: the header has a form, or the program a step, that isn't known.
    """
    results = _indices(text, "kResultIndexToBufferIndex")
    arguments = _indices(text, "kArgIndexToBufferIndex")
    return Program(
        name=name,
        buffers=_buffers(text),
        steps=tuple(_steps(text)),
        arguments=dict(zip(_names(text, "StaticArgNames"), arguments, strict=True)),
        results=dict(zip(_names(text, "StaticResultNames"), results, strict=True)),
    )


def _find(pattern: str, text: str, part: str) -> re.Match[str]:
    """The match of a pattern that the header must have; ``part`` names it in the error."""
    match = re.search(pattern, text, re.DOTALL)
    if match is None:
        raise CompilerError(
            "the compiler's header has a form that isn't known",
            subject=part,
            hint="tfgradkit reads the headers of TensorFlow 2.21: check the installed version",
        )
    return match


def _indices(text: str, table: str) -> list[int]:
    body = _find(rf"{table}\[\w+\] = \{{(.*?)\}};", text, table).group(1)
    return [int(number) for number in re.findall(r"\d+", body)]


def _names(text: str, function: str) -> list[str]:
    body = _find(rf"{function}\(\) \{{.*?= \{{(.*?)nullptr\}};", text, function).group(1)
    return re.findall(r'"([^"]*)"', body)


def _buffers(text: str) -> tuple[Buffer, ...]:
    infos = re.findall(r"EncodedBufferAllocationInfo\{(\d+)ULL, ~?\d+U, ~?\d+U\}", text)
    kinds = [int(info) & 3 for info in infos]
    if not infos or any(kind not in _KINDS for kind in kinds):
        raise CompilerError("the compiler's table of buffers has a form that isn't known", got=infos[:8])
    return tuple(Buffer(_KINDS[kind], int(info) >> 2) for kind, info in zip(kinds, infos, strict=True))


def _steps(text: str) -> list[ProgramStep]:
    body = _find(r"ThunkRunImplFunction\(\) \{(.*?)\n      return true;", text, "ThunkRunImplFunction").group(1)
    # In front of the first step there is only the signature of the function around the steps.
    signature, *parts = re.split(r"// (\w[\w ]*) Thunk\n", body)
    if "buffer_table[" in signature:
        raise CompilerError("the compiler's list of steps has a form that isn't known", got=signature.strip()[-200:])
    return [_step(kind, part) for kind, part in zip(parts[::2], parts[1::2], strict=True)]


def _step(kind: str, text: str) -> ProgramStep:
    if kind not in _READERS:
        raise CompilerError(
            "the compiled model needs a step that the C library doesn't have",
            subject=kind,
            expected=", ".join(_READERS),
            hint="export the part of the model around it, or export_saved_model",
        )
    step = _READERS[kind](text)
    if text.count("buffer_table[") != len(step.slices):
        raise CompilerError("a step has arguments of a form that isn't known", subject=kind, got=text.strip()[:500])
    return step


def _kernel(text: str) -> KernelCall:
    slices = re.findall(rf"XLA_CPU_KernelArg\{{{_POINTER}, (\d+)\}}", text)
    groups = _find(r"kernel_thread_dims = \{\s*(\d+),\s*(\d+),\s*(\d+),?\s*\}", text, "work groups")
    symbol = _find(r"error = \(\*(\w+)\)\(&call_frame\)", text, "kernel call").group(1)
    x, y, z = (int(n) for n in groups.groups())
    return KernelCall(symbol, (x, y, z), tuple(Slice(int(b), int(o), int(size)) for b, o, size in slices))


def _copy(text: str) -> Copy:
    size = int(_find(r", (\d+)\);", text, "copy").group(1))
    (to, to_offset), (source, source_offset) = re.findall(_POINTER, text)
    return Copy(Slice(int(to), int(to_offset), size), Slice(int(source), int(source_offset), size))


def _dot(text: str) -> Dot:
    dtype = _find(r"TypedMatMul<(\w+),", text, "matrix product").group(1)
    if dtype not in _BYTES:
        raise CompilerError("a matrix product has a dtype that isn't supported", expected=", ".join(_BYTES), got=dtype)
    pointers = re.findall(_POINTER, text)
    batch = int(_find(r"i < (\d+);", text, "matrix product").group(1))
    numbers = _find(r"(\d+), (\d+), (\d+), (true|false), (true|false),", text, "matrix product").groups()
    m, n, k = (int(number) for number in numbers[:3])
    sizes = [batch * count * _BYTES[dtype] for count in (m * n, m * k, k * n)]
    out, lhs, rhs = (Slice(int(b), int(o), s) for (b, o), s in zip(pointers, sizes, strict=True))
    return Dot(dtype, out, lhs, rhs, batch, m, n, k, numbers[3] == "true", numbers[4] == "true")


def _sort(text: str) -> Sort:
    pointers = re.findall(_POINTER, text)
    sizes = [int(n) for n in re.findall(r"\d+", _find(r"primitive_sizes = \{(.*?)\};", text, "sort").group(1))]
    if len(pointers) > MAX_SORTED:
        raise CompilerError(
            "a sort of so many arrays together is not supported", expected=f"at most {MAX_SORTED}", got=len(pointers)
        )
    shape = _find(r"SortInplace\(\s*\{\s*(\d+),\s*(\d+),\s*(\d+)\s*\}", text, "sort").groups()
    comparator = _find(r"reinterpret_cast<Comparator\*>\(\s*(\w+)\)", text, "sort").group(1)
    outer, middle, inner = (int(n) for n in shape)
    count = outer * middle * inner
    arrays = tuple(Slice(int(b), int(o), count * size) for (b, o), size in zip(pointers, sizes, strict=True))
    return Sort(arrays, tuple(sizes), (outer, middle, inner), comparator)


_READERS: dict[str, Callable[[str], ProgramStep]] = {"Kernel": _kernel, "Copy": _copy, "Dot": _dot, "Sort": _sort}
