"""The matrix products of a program as the engine runs them: row-major, with weights packed ahead.

The compiler writes a product as a call of Eigen, on matrices by columns. Read by rows, the same memory is the
product of the transposes in the other order: C^T = B^T A^T. The left operand is then the right one, whose columns the
kernels of ``templates/products.h`` go over; where it is a constant, it is stored as these kernels read it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..library.packed_weights import PANEL_BYTES, pack_weights
from .compiled_program import Buffer, Dot, Product, Program, ProgramStep, Slice, changed

_DTYPES = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}


def with_products(program: Program) -> Program:
    """``program`` with a :class:`Product` for each :class:`Dot`."""
    buffers, constants = list(program.buffers), dict(program.constants)
    packed: dict[tuple[Slice, bool, int, int], int] = {}

    def constant(dot: Dot) -> int | None:
        """The number of the buffer with the packed weights; None where the right side isn't constant."""
        source, count = dot.lhs, dot.m * dot.k
        whole = constants.get(source.buffer)
        if whole is None:
            return None
        key = (source, dot.transpose_lhs, dot.m, dot.k)
        if key not in packed:
            dtype = _DTYPES[dot.dtype]
            # By rows: [k, m], or [m, k] where the compiler transposes it.
            shape = (dot.batch, dot.m, dot.k) if dot.transpose_lhs else (dot.batch, dot.k, dot.m)
            weights = np.frombuffer(whole, dtype, dot.batch * count, source.offset).reshape(shape)
            data = pack_weights(weights, transposed=dot.transpose_lhs).tobytes()
            packed[key] = len(buffers)
            constants[len(buffers)] = data
            buffers.append(Buffer("constant", len(data)))
        return packed[key]

    def scratch(size: int) -> Slice:
        buffers.append(Buffer("temporary", size))
        return Slice(len(buffers) - 1, 0, size)

    def product(step: ProgramStep) -> ProgramStep:
        if not isinstance(step, Dot):
            return step
        number = constant(step)
        size = _packed_bytes(step)
        if number is not None:
            right: tuple[Slice, ...] = (Slice(number, 0, step.batch * size),)
            return Product(step.dtype, (step.out, step.rhs, *right), "packed", _sizes(step, size))
        if not step.transpose_lhs:
            return Product(step.dtype, (step.out, step.rhs, step.lhs), "rows", _sizes(step, None))
        return Product(step.dtype, (step.out, step.rhs, step.lhs, scratch(size)), "any", _sizes(step, None))

    steps = changed(program.steps, product)
    return replace(program, steps=steps, buffers=tuple(buffers), constants=constants)


def _packed_bytes(dot: Dot) -> int:
    """The bytes of one right side, packed."""
    panels = -(-dot.m * _DTYPES[dot.dtype].itemsize // PANEL_BYTES)
    return panels * PANEL_BYTES * dot.k


def _sizes(dot: Dot, packed_bytes: int | None) -> tuple[int, ...]:
    """``product_sizes``: the rows are the compiler's columns, and the other way round."""
    m, n, k = dot.n, dot.m, dot.k
    a = (1, m) if dot.transpose_rhs else (k, 1)
    b = (1, k) if dot.transpose_lhs else (n, 1)
    b_batch = k * n if packed_bytes is None else packed_bytes // _DTYPES[dot.dtype].itemsize
    return (dot.batch, m, n, k, m * k, *a, b_batch, *b, 0, 0, m * n, n)
