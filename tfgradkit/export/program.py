"""A compiled function as plain records: the compiler's list of steps, and the buffers they use."""

from __future__ import annotations

from dataclasses import dataclass, field


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
        """What it works on."""
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
        """What it works on."""
        return self.out, self.lhs, self.rhs


@dataclass(frozen=True)
class Sort:
    """A stable sort along the middle axis of ``shape``, by a compiled comparator; the arrays move together."""

    slices: tuple[Slice, ...]
    element_bytes: tuple[int, ...]
    shape: tuple[int, int, int]
    comparator: str


Step = KernelCall | Copy | Dot | Sort


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
    steps: tuple[Step, ...]
    arguments: dict[str, int]
    results: dict[str, int]
    constants: dict[int, bytes] = field(default_factory=dict)

    @property
    def kernels(self) -> tuple[str, ...]:
        """Symbols of the kernels it calls, each once."""
        return tuple(dict.fromkeys(s.symbol for s in self.steps if isinstance(s, KernelCall)))

    @property
    def comparators(self) -> tuple[str, ...]:
        """Symbols of the comparators it sorts by, each once."""
        return tuple(dict.fromkeys(s.comparator for s in self.steps if isinstance(s, Sort)))
