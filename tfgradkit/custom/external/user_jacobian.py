"""Jacobians and products with them that the user calculates outside TensorFlow, checked.

A block for each floating result and each floating argument, results outside: ``[B] + y + x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import ExternalError
from .python_call import Arrays, BatchFunction, PythonCall, starts


def user_jacobian(
    host: PythonCall, jacobian: Callable[..., Any], structure: Any, positions: Sequence[int]
) -> BatchFunction:
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


def user_vjp(host: PythonCall, vjp: Callable[..., Any], structure: Any, positions: Sequence[int]) -> BatchFunction:
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


def rows_of(product: BatchFunction, host: PythonCall, positions: Sequence[int]) -> BatchFunction:
    """The Jacobian from uᵀJ for all unit vectors at once."""

    def slopes(xs: Sequence[np.ndarray]) -> Arrays:
        batch, dtypes = len(xs[0]), host.outputs.dtypes
        shapes = [[n for n in shape if n is not None] for shape in host.outputs.shapes]
        if any(None in shape for shape in host.outputs.shapes):
            raise ExternalError(
                "a Jacobian from a VJP needs results of known shape", subject=host.name, got=host.outputs.shapes
            )
        floating = [i for i, dtype in enumerate(dtypes) if dtype.kind == "f"]
        counts = [math.prod(shapes[i]) for i in floating]
        total = sum(counts)
        us = [np.zeros((total, batch, math.prod(s)), t) for s, t in zip(shapes, dtypes, strict=True)]
        for i, start, count in zip(floating, starts(counts), counts, strict=True):
            us[i][start + np.arange(count), :, np.arange(count)] = 1
        given = [np.repeat(x[None], total, 0).reshape(-1, *x.shape[1:]) for x in xs]
        given += [u.reshape(-1, *shape) for u, shape in zip(us, shapes, strict=True)]
        gradients = product(given)
        blocks = []
        for i, start, count in zip(floating, starts(counts), counts, strict=True):
            for g, p in zip(gradients, positions, strict=True):
                rows = g.reshape(total, batch, *xs[p].shape[1:])[start : start + count]
                blocks.append(np.moveaxis(rows, 0, 1).reshape(batch, *shapes[i], *xs[p].shape[1:]))
        return blocks

    return slopes


def _leaves(host: PythonCall, result: Any) -> list[Any]:
    """The leaves of a nest, without None; by rows, of each row's, one column a leaf."""
    if not host.by_rows:
        return [leaf for leaf in tf.nest.flatten(result) if leaf is not None]
    rows = [[leaf for leaf in tf.nest.flatten(row) if leaf is not None] for row in result]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _count(host: PythonCall, what: str, expected: str, got: int) -> ExternalError:
    return ExternalError(
        f"the {what} of the function outside TensorFlow has the wrong number of arrays",
        subject=host.name,
        expected=expected,
        got=got,
    )
