"""A compiled function as plain records: its buffers, and the steps that work on slices of them.

A step is a kernel, a call of a function that the engine has (a product, a convolution, a sort), or control flow around
other steps. ``compiler_output`` reads these records, ``library.c_sources`` writes them as C tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace


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
class Product:
    """A matrix product by the kernels of ``templates/products.h``: row-major, ``C[m, n] = A[m, k] B[k, n]``.

    Attributes:
        slices: C, A and B, and scratch where B has to be packed at run time.
        way: how B lies: "packed", its transpose packed ("transposed"), in "rows", or "any" other way.
        sizes: the numbers of ``product_sizes`` in that file, in order.
    """

    dtype: str
    slices: tuple[Slice, ...]
    way: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """A convolution over two axes: ``[batch, rows, columns, channels]`` by ``[rows, columns, channels, filters]``.

    All pairs are of rows and columns. ``image_dilation`` puts zeros between the numbers of the image (a transposed
    convolution), ``kernel_dilation`` between those of the kernel. A group of filters sees its own channels alone.

    Attributes:
        slices: out, image and kernel; then the padded image and the packed kernel, as far as the engine needs them.
        way: "directly", by a "packed" kernel, or by one to be packed at run time ("packing").
        block: the numbers of one packed right side.
        wide: rows and columns of the padded image; those of the image where it needs no padding.
        steps, full: the step convolves for every ``steps``-th row and column of a result of ``full`` rows and columns.
    """

    slices: tuple[Slice, ...]
    batch: int
    image: tuple[int, int]
    channels: int
    kernel: tuple[int, int]
    kernel_channels: int
    filters: int
    out: tuple[int, int]
    strides: tuple[int, int]
    padding_before: tuple[int, int]
    image_dilation: tuple[int, int]
    kernel_dilation: tuple[int, int]
    groups: int
    way: str = "directly"
    block: int = 0
    wide: tuple[int, int] = (0, 0)
    steps: tuple[int, int] = (1, 1)
    full: tuple[int, int] | None = None

    @property
    def own_step(self) -> bool:
        """Whether each place of the kernel is a product of its own: one row of it doesn't meet numbers side by side."""
        return self.groups > 1 or (self.kernel_dilation[1] > 1 and self.kernel[1] > 1)

    @property
    def padded(self) -> bool:
        """Whether the image has to be copied with its padding, or with zeros between its numbers."""
        return self.wide != self.image or self.image_dilation != (1, 1) or self.padding_before != (0, 0)


@dataclass(frozen=True)
class Sort:
    """A stable sort along the middle axis of ``shape``, by a compiled comparator; the arrays move together."""

    slices: tuple[Slice, ...]
    element_bytes: tuple[int, ...]
    shape: tuple[int, int, int]
    comparator: str


@dataclass(frozen=True)
class TopK:
    """The ``k`` largest of each row of ``[rows, columns]`` float32 numbers, and their places as int32."""

    slices: tuple[Slice, Slice, Slice]
    rows: int
    columns: int
    k: int


@dataclass(frozen=True)
class While:
    """``body`` as long as the byte ``flag`` is not 0; the steps before it, and the body's last ones, set the flag."""

    flag: Slice
    body: tuple[ProgramStep, ...]

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The flag."""
        return (self.flag,)


@dataclass(frozen=True)
class For:
    """``body``, ``count`` times."""

    count: int
    body: tuple[ProgramStep, ...]

    @property
    def slices(self) -> tuple[Slice, ...]:
        """None of its own."""
        return ()


@dataclass(frozen=True)
class Branch:
    """One of ``branches``, by ``index``: a byte (true is the first) or an int32 (out of bounds is the last)."""

    index: Slice
    branches: tuple[tuple[ProgramStep, ...], ...]

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The index."""
        return (self.index,)


ProgramStep = KernelCall | Copy | Dot | Product | Convolution | Sort | TopK | While | For | Branch


def changed(
    steps: tuple[ProgramStep, ...], change: Callable[[ProgramStep], tuple[ProgramStep, ...]]
) -> tuple[ProgramStep, ...]:
    """The steps that ``change`` makes of each step, of those inside loops and branches, too."""
    made: list[ProgramStep] = []
    for step in steps:
        match step:
            case While() | For():
                made.extend(change(replace(step, body=changed(step.body, change))))
            case Branch():
                made.extend(change(replace(step, branches=tuple(changed(b, change) for b in step.branches))))
            case _:
                made.extend(change(step))
    return tuple(made)


def walk(steps: tuple[ProgramStep, ...]) -> Iterator[ProgramStep]:
    """All steps, each before those inside it."""
    for step in steps:
        yield step
        match step:
            case While() | For():
                yield from walk(step.body)
            case Branch():
                for branch in step.branches:
                    yield from walk(branch)


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
        prefix: what the names of the product kernels of its target begin with.
    """

    name: str
    buffers: tuple[Buffer, ...]
    steps: tuple[ProgramStep, ...]
    arguments: dict[str, int]
    results: dict[str, int]
    constants: dict[int, bytes] = field(default_factory=dict)
    prefix: str = ""

    @property
    def kernels(self) -> tuple[str, ...]:
        """Symbols of the kernels in its steps, each once."""
        return tuple(dict.fromkeys(s.symbol for s in walk(self.steps) if isinstance(s, KernelCall)))

    @property
    def product_dtypes(self) -> frozenset[str]:
        """float and double, as far as its products and convolutions have them."""
        found = {s.dtype for s in walk(self.steps) if isinstance(s, Product)}
        convolved = any(isinstance(s, Convolution) and s.way != "directly" for s in walk(self.steps))
        return frozenset(found | {"float"} if convolved else found)

    @property
    def comparators(self) -> tuple[str, ...]:
        """Symbols of the comparators in its sorts, each once."""
        return tuple(dict.fromkeys(s.comparator for s in walk(self.steps) if isinstance(s, Sort)))
