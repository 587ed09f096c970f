"""The matrix products and convolutions of a program as the engine runs them, with weights packed ahead.

The compiler writes a product as a call of Eigen, on matrices by columns. Read by rows, the same memory is the
product of the transposes in the other order: C^T = B^T A^T. The left operand is then the right one, whose columns the
kernels of ``templates/products.h`` go over; where it is a constant, it is stored as these kernels read it.

A convolution is a sum of such products, one for each row of its kernel; see ``engine_convolve`` in
``templates/engine_steps.h``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..library.packed_weights import PANEL_BYTES, pack_weights
from .compiled_program import Buffer, Convolution, Dot, Product, Program, ProgramStep, Slice, changed

_DTYPES: dict[str, np.dtype[Any]] = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}
# From so many bytes on a weight is stored one way round, and read as its transpose where it is multiplied by from the
# other side: value and Jacobian of many points take 5 % longer at 256 x 256 float32, and more below (measured).
LARGE_BYTES = 1 << 18
# Of so few filters a group, a panel of a product's columns would be mostly empty.
_FEW_FILTERS = 4


class PackedWays:
    """Which way round the large weights of a library are packed: as the first product reads them, in all programs."""

    def __init__(self) -> None:
        self._kept: set[tuple[tuple[int, ...], bytes]] = set()

    def other(self, b: np.ndarray) -> bool:
        """Whether the transpose of ``b [batch, k, n]`` is packed already, and ``b`` itself isn't."""
        if b.nbytes < LARGE_BYTES or _digest(b) in self._kept:
            return False
        return _digest(np.swapaxes(b, -1, -2)) in self._kept

    def keep(self, b: np.ndarray) -> None:
        """Notes that ``b`` is packed."""
        if b.nbytes >= LARGE_BYTES:
            self._kept.add(_digest(b))


def _digest(b: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    """Stands for shape and numbers: a set of digests takes no memory, where one of weights would."""
    return b.shape, hashlib.blake2b(np.ascontiguousarray(b).data).digest()


def with_products(program: Program, ways: PackedWays | None = None) -> Program:
    """``program`` with a :class:`Product` for each :class:`Dot`, and the ways of its convolutions chosen.

    Programs that share ``ways`` pack a large weight the same way round.
    """
    additions = _Additions(program, ways or PackedWays())

    def steps_of(given: ProgramStep) -> tuple[ProgramStep, ...]:
        match given:
            case Dot():
                return (_product(given, additions),)
            case Convolution():
                return _convolutions(given, additions)
            case _:
                return (given,)

    steps = changed(program.steps, steps_of)
    return replace(program, steps=steps, buffers=tuple(additions.buffers), constants=additions.constants)


class _Additions:
    """The buffers of a program, and those that are added: packed weights, each once, and scratch."""

    def __init__(self, program: Program, ways: PackedWays) -> None:
        self.ways = ways
        self.buffers = list(program.buffers)
        self.constants = dict(program.constants)
        self._known: dict[bytes, Slice] = {}

    def array(self, part: Slice, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray | None:
        """The numbers of a slice; None where it isn't constant."""
        data = self.constants.get(part.buffer)
        if data is None:
            return None
        return np.frombuffer(data, dtype, int(np.prod(shape)), part.offset).reshape(shape)

    def packed(self, weights: np.ndarray) -> Slice:
        """A buffer with these numbers."""
        data = weights.tobytes()
        if data not in self._known:
            self.constants[len(self.buffers)] = data
            self._known[data] = self._slice("constant", len(data))
        return self._known[data]

    def scratch(self, size: int) -> Slice:
        """A temporary buffer."""
        return self._slice("temporary", size)

    def _slice(self, kind: str, size: int) -> Slice:
        self.buffers.append(Buffer(kind, size))
        return Slice(len(self.buffers) - 1, 0, size)


def _product(dot: Dot, additions: _Additions) -> Product:
    dtype = _DTYPES[dot.dtype]
    # By rows: [k, m], or [m, k] where the compiler transposes it.
    shape = (dot.batch, dot.m, dot.k) if dot.transpose_lhs else (dot.batch, dot.k, dot.m)
    weights = additions.array(dot.lhs, dtype, shape)
    if weights is not None:
        return _by_weights(dot, np.swapaxes(weights, -1, -2) if dot.transpose_lhs else weights, additions)
    if not dot.transpose_lhs:
        return Product(dot.dtype, (dot.out, dot.rhs, dot.lhs), "rows", _sizes(dot, None))
    scratch = additions.scratch(_packed_bytes(dot.k, dot.m, dtype.itemsize))
    return Product(dot.dtype, (dot.out, dot.rhs, dot.lhs, scratch), "any", _sizes(dot, None))


def _by_weights(dot: Dot, b: np.ndarray, additions: _Additions) -> Product:
    """The product by constants ``b [batch, k, n]``."""
    in_rows = dot.n == 1 or not dot.transpose_rhs
    transposed = in_rows and additions.ways.other(b)
    if not transposed:
        additions.ways.keep(b)
    packed = pack_weights(b, transposed=transposed)
    way = "transposed" if transposed else "packed"
    return Product(dot.dtype, (dot.out, dot.rhs, additions.packed(packed)), way, _sizes(dot, packed[0].nbytes))


def _packed_bytes(k: int, n: int, item: int) -> int:
    """The bytes of one right side, packed."""
    return -(-n * item // PANEL_BYTES) * PANEL_BYTES * k


def _sizes(dot: Dot, packed_bytes: int | None) -> tuple[int, ...]:
    """``product_sizes``: the rows are the compiler's columns, and the other way round."""
    m, n, k = dot.n, dot.m, dot.k
    a = (1, m) if dot.transpose_rhs else (k, 1)
    b = (1, k) if dot.transpose_lhs else (n, 1)
    b_batch = k * n if packed_bytes is None else packed_bytes // _DTYPES[dot.dtype].itemsize
    return (dot.batch, m, n, k, m * k, *a, b_batch, *b, 0, 0, m * n, n)


def _convolutions(step: Convolution, additions: _Additions) -> tuple[Convolution, ...]:
    if step.groups > 1 and step.filters // step.groups < _FEW_FILTERS:
        return (step,)
    kernel = additions.array(step.slices[2], np.dtype(np.float32), _kernel_shape(step))
    if kernel is None:
        return (_packing(step, additions),)
    if step.image_dilation == (1, 1) or step.strides != (1, 1) or step.kernel_dilation != (1, 1):
        return (_packed(step, kernel, additions),)
    rows, columns = (_phases(step, axis) for axis in (0, 1))
    return tuple(_part(step, kernel, row, column, additions) for row in rows for column in columns)


def _kernel_shape(step: Convolution) -> tuple[int, ...]:
    return (*step.kernel, step.kernel_channels, step.filters)


@dataclass(frozen=True)
class _Phase:
    """Along one axis of a dilated image, the results that meet numbers of the image at the same places of the kernel.

    A dilated image is mostly zeros: of a transposed convolution with strides of 2 three of four products. Results
    ``first``, ``first + step``, … meet every ``step``-th place of the kernel, from ``tap`` on, and at these the image
    without zeros (V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4.5).
    """

    first: int
    step: int
    tap: int
    count: int
    padding: int


def _phases(step: Convolution, axis: int) -> list[_Phase]:
    size, before, out = step.image_dilation[axis], step.padding_before[axis], step.out[axis]
    phases = []
    for first in range(min(size, out)):
        tap = (before - first) % size
        phases.append(_Phase(first, size, tap, -(-(out - first) // size), (before - first - tap) // size))
    return phases


def _part(step: Convolution, kernel: np.ndarray, row: _Phase, column: _Phase, additions: _Additions) -> Convolution:
    taps = kernel[row.tap :: row.step, column.tap :: column.step]
    out = step.slices[0]
    skipped = 4 * (row.first * step.out[1] + column.first) * step.filters
    part = replace(
        step,
        slices=(Slice(out.buffer, out.offset + skipped, out.size - skipped), *step.slices[1:]),
        kernel=taps.shape[:2], out=(row.count, column.count), padding_before=(row.padding, column.padding),
        image_dilation=(1, 1), steps=(row.step, column.step), full=step.out,
    )  # fmt: skip
    return _packed(part, taps, additions)


def _packed(step: Convolution, kernel: np.ndarray, additions: _Additions) -> Convolution:
    """The step with its kernel packed at export."""
    count, depth, width = _blocks(step)
    size = _packed_bytes(depth, width, 4)
    step = replace(step, way="packed", block=size // 4, wide=_wide(step))
    by_group = np.moveaxis(kernel.reshape(count, depth, step.groups, width), 2, 0)
    packed = additions.packed(pack_weights(np.ascontiguousarray(by_group)))
    return replace(step, slices=(*step.slices[:2], packed, *_padding(step, additions)))


def _packing(step: Convolution, additions: _Additions) -> Convolution:
    """The step with room for a kernel that only a run knows."""
    count, depth, width = _blocks(step)
    size = _packed_bytes(depth, width, 4)
    step = replace(step, way="packing", block=size // 4, wide=_wide(step))
    room = additions.scratch(step.groups * count * size)
    return replace(step, slices=(*step.slices, *_padding(step, additions), room))


def _blocks(step: Convolution) -> tuple[int, int, int]:
    """The number of products of one group, and the depth and width of their right sides."""
    width = step.filters // step.groups
    if step.own_step:
        return step.kernel[0] * step.kernel[1], step.kernel_channels, width
    return step.kernel[0], step.kernel[1] * step.kernel_channels, width


def _padding(step: Convolution, additions: _Additions) -> tuple[Slice, ...]:
    """Room for the padded image, where there is one."""
    return (additions.scratch(4 * step.wide[0] * step.wide[1] * step.channels),) if step.padded else ()


def _wide(step: Convolution) -> tuple[int, int]:
    """The rows and columns of the padded image: as many as the kernel's places meet, or those of the image."""
    met = [
        (out - 1) * stride + (kernel - 1) * dilation + 1
        for out, stride, kernel, dilation in zip(step.out, step.strides, step.kernel, step.kernel_dilation, strict=True)
    ]
    inside = step.padding_before == (0, 0) and step.image_dilation == (1, 1)
    if inside and all(m <= size for m, size in zip(met, step.image, strict=True)):
        return step.image
    return met[0], met[1]
