"""The user's Jacobian, or product with it, calculated outside TensorFlow: called, and its result checked.

A Jacobian has a block for each floating result and each floating argument, results outside: ``[B] + y + x``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import ExternalError
from .python_call import Arrays, BatchFunction, PythonCall, block_starts


def user_jacobian(
    python_call: PythonCall, jacobian: Callable[..., Any], structure: Any, positions: Sequence[int]
) -> BatchFunction:
    """The user's Jacobian as a function of flat arrays that returns its blocks.

    Args:
        python_call: the function that it is the Jacobian of.
        jacobian: the user's function.
        structure: the nest of the arguments; None where each argument is an array.
        positions: of the floating arguments.
    """

    def blocks(xs: Sequence[np.ndarray]) -> Arrays:
        leaves, declared = _leaves(python_call, python_call.run(jacobian, structure, xs)), python_call.outputs
        outputs = [
            (i, shape, dtype)
            for i, (shape, dtype) in enumerate(zip(declared.shapes, declared.dtypes, strict=True))
            if dtype.kind == "f"
        ]
        # The user may return a block for each result and argument, or None, or nothing, for those not floating.
        every = len(declared.shapes) * len(xs)
        if len(leaves) not in (every, len(outputs) * len(positions)):
            raise _wrong_count(
                python_call, "Jacobian", f"{len(outputs) * len(positions)}, results outside", len(leaves)
            )
        if len(leaves) == every:
            leaves = [leaves[i * len(xs) + p] for i, _, _ in outputs for p in positions]
        wanted = [((len(xs[0]), *shape, *xs[p].shape[1:]), dtype) for _, shape, dtype in outputs for p in positions]
        return [
            python_call.cast(python_call.as_array(leaf, shape, "a Jacobian"), dtype, "a Jacobian")
            for leaf, (shape, dtype) in zip(leaves, wanted, strict=True)
        ]

    return blocks


def user_vjp(
    python_call: PythonCall, vjp: Callable[..., Any], structure: Any, positions: Sequence[int]
) -> BatchFunction:
    """The user's product uᵀJ as a function of flat arrays: the arguments, then the gradients of the results."""

    def product(arrays: Sequence[np.ndarray]) -> Arrays:
        count = len(arrays) - len(python_call.outputs.shapes)
        xs = arrays[:count]
        arguments = tuple([0] * count) if structure is None else structure
        us = 0 if python_call.outputs.structure is None else python_call.outputs.structure
        leaves = _leaves(python_call, python_call.run(vjp, (*arguments, us), arrays))
        if len(leaves) not in (count, len(positions)):
            raise _wrong_count(python_call, "VJP", f"a gradient for each argument, {count}", len(leaves))
        leaves = [leaves[p] for p in positions] if len(leaves) == count else leaves
        return [
            python_call.cast(python_call.as_array(leaf, xs[p].shape, "a gradient"), xs[p].dtype, "a gradient")
            for leaf, p in zip(leaves, positions, strict=True)
        ]

    return product


def jacobian_from_vjp(product: BatchFunction, python_call: PythonCall, positions: Sequence[int]) -> BatchFunction:
    """The blocks of the Jacobian, from one call of ``product`` with all unit vectors u."""

    def blocks(xs: Sequence[np.ndarray]) -> Arrays:
        batch, dtypes = len(xs[0]), python_call.outputs.dtypes
        shapes = [[n for n in shape if n is not None] for shape in python_call.outputs.shapes]
        if any(None in shape for shape in python_call.outputs.shapes):
            raise ExternalError(
                "a Jacobian from a VJP needs results of known shape",
                subject=python_call.name,
                got=python_call.outputs.shapes,
            )
        floating = [i for i, dtype in enumerate(dtypes) if dtype.kind == "f"]
        counts = [math.prod(shapes[i]) for i in floating]
        total = sum(counts)
        us = [np.zeros((total, batch, math.prod(s)), t) for s, t in zip(shapes, dtypes, strict=True)]
        for i, start, count in zip(floating, block_starts(counts), counts, strict=True):
            us[i][start + np.arange(count), :, np.arange(count)] = 1
        arrays = [np.repeat(x[None], total, 0).reshape(-1, *x.shape[1:]) for x in xs]
        arrays += [u.reshape(-1, *shape) for u, shape in zip(us, shapes, strict=True)]
        gradients = product(arrays)
        results = []
        for i, start, count in zip(floating, block_starts(counts), counts, strict=True):
            for g, p in zip(gradients, positions, strict=True):
                rows = g.reshape(total, batch, *xs[p].shape[1:])[start : start + count]
                results.append(np.moveaxis(rows, 0, 1).reshape(batch, *shapes[i], *xs[p].shape[1:]))
        return results

    return blocks


def _leaves(python_call: PythonCall, result: Any) -> list[Any]:
    """The leaves of a nest without None; of a list of nests, one a sample, each leaf stacked over the samples."""
    if not python_call.by_sample:
        return [leaf for leaf in tf.nest.flatten(result) if leaf is not None]
    rows = [[leaf for leaf in tf.nest.flatten(row) if leaf is not None] for row in result]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _wrong_count(python_call: PythonCall, what: str, expected: str, got: int) -> ExternalError:
    return ExternalError(
        f"the {what} of the function outside TensorFlow has the wrong number of arrays",
        subject=python_call.name,
        expected=expected,
        got=got,
    )
