"""Products of matrices: dense along what is summed over, but where a constant of the graph has zeros.

A variable's zeros are never relied on: training changes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .flow import Flow, Found, Unknown, rule, static_shape
from .reductions import along
from .sets import EMPTY


@rule("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def matrix_product(flow: Flow, operation: Any) -> Found:
    """Each element depends on a row of the left and a column of the right matrix."""
    flags = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    left, right = operation.inputs[:2]
    flip_left, flip_right = (operation.get_attr(flag) for flag in flags)
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise Unknown
    found: Any = None
    if flow.depends(left):
        rows = contracted(flow, _flipped(flow.numbers(left), flip_left), _mask(flow, right, flip_right))
        found = np.broadcast_to(rows, shape)
    if flow.depends(right):
        columns = contracted(flow, _flipped(flow.numbers(right), not flip_right), _mask(flow, left, not flip_left))
        found = flow.either(found, np.broadcast_to(np.swapaxes(columns, -1, -2), shape))
    return [found]


@rule("Einsum")
def einsum(flow: Flow, operation: Any) -> Found:
    """Each operand: unions along what the result has not, spread over what the others have.

    Raises:
        Unknown: an ellipsis, or a diagonal.
    """
    given, _, result = operation.get_attr("equation").decode().replace(" ", "").partition("->")
    terms = given.split(",")
    shape = static_shape(operation.outputs[0])
    if shape is None or any(len(set(term)) < len(term) or "." in term for term in [*terms, result]):
        raise Unknown
    found: Any = None
    for tensor, term in zip(operation.inputs, terms, strict=True):
        if flow.depends(tensor):
            kept = [label for label in term if label in result]
            summed = along(flow, flow.numbers(tensor), [i for i, label in enumerate(term) if label not in result])
            ordered = np.transpose(summed, [kept.index(label) for label in result if label in kept])
            spread = ordered.reshape([shape[i] if label in kept else 1 for i, label in enumerate(result)])
            found = flow.either(found, np.broadcast_to(spread, shape))
    return [found]


def contracted(flow: Flow, numbers: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """``[..., k]`` with a mask ``[k, n]`` of what is not zero gives ``[..., n]``; without a mask ``[..., 1]``."""
    if mask is None or mask.all():
        return flow.sets.union(numbers)[..., None]
    distinct, places = np.unique(mask, axis=1, return_inverse=True)
    result = np.full([*numbers.shape[:-1], distinct.shape[1]], EMPTY)
    padded = np.concatenate([numbers, np.full([*numbers.shape[:-1], 1], EMPTY)], -1)
    counts = distinct.sum(axis=0)
    # Columns of about the same number of entries together: one long one must not make all of them long.
    sizes = np.ceil(np.log2(np.maximum(counts, 1))).astype(int)
    for size in np.unique(sizes[counts > 0]):
        columns = np.flatnonzero((sizes == size) & (counts > 0))
        taps = np.full((len(columns), counts[columns].max()), mask.shape[0])
        for row, column in enumerate(columns):
            taps[row, : counts[column]] = np.flatnonzero(distinct[:, column])
        result[..., columns] = flow.sets.union(padded[..., taps])
    return result[..., np.ravel(places)]


def _mask(flow: Flow, tensor: Any, flipped: bool) -> np.ndarray | None:
    """Where a matrix of constants is not zero; None where that is not known."""
    value = None if flow.depends(tensor) else flow.constants.value(tensor)
    if value is None or value.ndim != 2:
        return None
    return (value.T if flipped else value) != 0


def _flipped(numbers: np.ndarray, flip: bool) -> np.ndarray:
    return np.swapaxes(numbers, -1, -2) if flip else numbers
