"""Jacobians of functions outside TensorFlow, as functions of the same arguments: one call a batch.

All give a block for each floating result and each floating argument, results outside: ``[B] + y + x``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import ExternalError
from .host import Arrays, BatchFunction, Host
from .steps import Step

_COMPLEX_STEP = 1e-20


def central(
    f: BatchFunction, positions: Sequence[int], step: Step, taken: Callable[[np.ndarray], np.dtype]
) -> BatchFunction:
    """Central differences of ``f`` by the arguments at ``positions``: f at all moved points at once.

    ``taken`` is the dtype in which the function takes an argument.
    (J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd ed., sec. 8.1.)
    """

    def slopes(given: Sequence[np.ndarray]) -> Arrays:
        xs = [np.asarray(x, taken(x)) for x in given]
        epsilon = max(float(np.finfo(xs[p].dtype).eps) for p in positions)
        h = step.chosen(f, xs, positions, epsilon)
        counts = [xs[p][0].size for p in positions]
        points = [np.repeat(x[None], 2 * sum(counts), 0) for x in xs]
        widths = []
        for p, start, count in zip(positions, _starts(counts), counts, strict=True):
            moved, numbers = points[p].reshape(2, sum(counts), len(xs[p]), count), np.arange(count)
            by = (h * step.sizes(xs[p])).reshape(len(xs[p]), count).T
            moved[0, start + numbers, :, numbers] += by
            moved[1, start + numbers, :, numbers] -= by
            # As it came out in rounded numbers.
            widths.append(moved[0, start + numbers, :, numbers] - moved[1, start + numbers, :, numbers])
        ys = f([point.reshape(-1, *x.shape[1:]) for point, x in zip(points, xs, strict=True)])
        blocks = []
        for y in _floating(ys):
            ahead, behind = y.reshape(2, sum(counts), len(xs[0]), *y.shape[1:])
            for p, start, count, width in zip(positions, _starts(counts), counts, widths, strict=True):
                change = ahead[start : start + count] - behind[start : start + count]
                slope = change / width.reshape(*width.shape, *[1] * (y.ndim - 1))
                blocks.append(_with_axes_of(xs[p], slope))
        return blocks

    return slopes


def complex_step(host: Host, structure: Any, positions: Sequence[int]) -> BatchFunction:
    """Im f(x + ih)/h: exact up to rounding for an analytic function that takes complex numbers.

    (W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Rev. 40, 1998.)
    """

    def slopes(xs: Sequence[np.ndarray]) -> Arrays:
        counts = [xs[p][0].size for p in positions]
        points = [np.repeat(x[None].astype(complex) if x.dtype.kind == "f" else x[None], sum(counts), 0) for x in xs]
        for p, start, count in zip(positions, _starts(counts), counts, strict=True):
            moved, numbers = points[p].reshape(sum(counts), len(xs[p]), count), np.arange(count)
            moved[start + numbers, :, numbers] += 1j * _COMPLEX_STEP
        flat = [point.reshape(-1, *x.shape[1:]) for point, x in zip(points, xs, strict=True)]
        ys = _complex_results(host, host.raw(host.fn, structure, flat), len(flat[0]))
        blocks = []
        for y in ys:
            slope = y.imag.reshape(sum(counts), len(xs[0]), *y.shape[1:]) / _COMPLEX_STEP
            for p, start, count in zip(positions, _starts(counts), counts, strict=True):
                blocks.append(_with_axes_of(xs[p], slope[start : start + count]))
        return blocks

    return slopes


def _complex_results(host: Host, y: Any, count: int) -> Arrays:
    results = []
    for leaf, shape, dtype in zip(
        host.flat(y, host.outputs.structure), host.outputs.shapes, host.outputs.dtypes, strict=True
    ):
        array = host.shaped(leaf, (count, *shape), "a result for complex arguments")
        if dtype.kind == "f":
            if array.dtype.kind != "c":
                raise ExternalError(
                    "the function outside TensorFlow returned real numbers for complex ones",
                    subject=host.name,
                    expected="complex numbers, of which the imaginary part is the derivative",
                    got=str(array.dtype),
                    hint='derivative="finite-difference"; abs, maximum and comparisons are not analytic',
                )
            results.append(array)
    return results


def given_jacobian(host: Host, jacobian: Callable[..., Any], structure: Any, positions: Sequence[int]) -> BatchFunction:
    """A Jacobian that the user calculates."""

    def slopes(xs: Sequence[np.ndarray]) -> Arrays:
        leaves = _leaves(host, host.raw(jacobian, structure, xs))
        # Results outside, arguments inside; None, or something, for what isn't floating.
        outputs = [
            (i, shape, t)
            for i, (shape, t) in enumerate(zip(host.outputs.shapes, host.outputs.dtypes, strict=True))
            if t.kind == "f"
        ]
        every = len(host.outputs.shapes) * len(xs)
        if len(leaves) not in (every, len(outputs) * len(positions)):
            raise _count(host, "Jacobian", f"{len(outputs) * len(positions)}, results outside", len(leaves))
        if len(leaves) == every:
            leaves = [leaves[i * len(xs) + p] for i, _, _ in outputs for p in positions]
        wanted = [((len(xs[0]), *shape, *xs[p].shape[1:]), t) for _, shape, t in outputs for p in positions]
        return [
            host.cast(host.shaped(leaf, shape, "a Jacobian"), t, "a Jacobian")
            for leaf, (shape, t) in zip(leaves, wanted, strict=True)
        ]

    return slopes


def given_vjp(host: Host, vjp: Callable[..., Any], structure: Any, positions: Sequence[int]) -> BatchFunction:
    """A product uᵀJ that the user calculates: of the arguments, then the gradients of the results."""

    def product(given: Sequence[np.ndarray]) -> Arrays:
        inputs = len(given) - len(host.outputs.shapes)
        xs = given[:inputs]
        nest = tuple([0] * inputs) if structure is None else structure
        us = 0 if host.outputs.structure is None else host.outputs.structure
        leaves = _leaves(host, host.raw(vjp, (*nest, us), given))
        if len(leaves) not in (inputs, len(positions)):
            raise _count(host, "VJP", f"a gradient for each argument, {inputs}", len(leaves))
        leaves = [leaves[p] for p in positions] if len(leaves) == inputs else leaves
        return [
            host.cast(host.shaped(leaf, xs[p].shape, "a gradient"), xs[p].dtype, "a gradient")
            for leaf, p in zip(leaves, positions, strict=True)
        ]

    return product


def rows_of(product: BatchFunction, host: Host, positions: Sequence[int]) -> BatchFunction:
    """The Jacobian from uᵀJ for all unit vectors at once."""

    def slopes(xs: Sequence[np.ndarray]) -> Arrays:
        batch, shapes, dtypes = len(xs[0]), host.outputs.shapes, host.outputs.dtypes
        if any(None in shape for shape in shapes):
            raise ExternalError("a Jacobian from a VJP needs results of known shape", subject=host.name, got=shapes)
        floating = [i for i, dtype in enumerate(dtypes) if dtype.kind == "f"]
        counts = [int(np.prod(shapes[i])) for i in floating]
        total = sum(counts)
        us = [np.zeros((total, batch, int(np.prod(s))), t) for s, t in zip(shapes, dtypes, strict=True)]
        for i, start, count in zip(floating, _starts(counts), counts, strict=True):
            us[i][start + np.arange(count), :, np.arange(count)] = 1
        given = [np.repeat(x[None], total, 0).reshape(-1, *x.shape[1:]) for x in xs]
        given += [u.reshape(-1, *shape) for u, shape in zip(us, shapes, strict=True)]
        gradients = product(given)
        blocks = []
        for i, start, count in zip(floating, _starts(counts), counts, strict=True):
            for g, p in zip(gradients, positions, strict=True):
                rows = g.reshape(total, batch, *xs[p].shape[1:])[start : start + count]
                blocks.append(np.moveaxis(rows, 0, 1).reshape(batch, *shapes[i], *xs[p].shape[1:]))
        return blocks

    return slopes


def _leaves(host: Host, result: Any) -> list[Any]:
    """The leaves of a nest, without None; by rows, of each row's, one column a leaf."""
    if not host.by_rows:
        return [leaf for leaf in tf.nest.flatten(result) if leaf is not None]
    rows = [[leaf for leaf in tf.nest.flatten(row) if leaf is not None] for row in result]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _with_axes_of(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """``[count, B, *y]`` → ``[B, *y, *x]``."""
    return np.moveaxis(slope, 0, -1).reshape(*slope.shape[1:], *x.shape[1:])


def _floating(ys: Arrays) -> Arrays:
    return [y for y in ys if y.dtype.kind == "f"]


def _starts(counts: Sequence[int]) -> list[int]:
    return [sum(counts[:i]) for i in range(len(counts))]


def _count(host: Host, what: str, expected: str, got: int) -> ExternalError:
    return ExternalError(
        f"the {what} of the function outside TensorFlow has the wrong number of arrays",
        subject=host.name,
        expected=expected,
        got=got,
    )
