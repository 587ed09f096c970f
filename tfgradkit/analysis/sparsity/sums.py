"""Rules for ops that make one element of many: sums along axes, running sums, sums by index, products of matrices.

A product is dense along the axis that is summed over, except where a constant of the graph has zeros. A variable's
zeros are never relied on: training changes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .domain import Dependence, Flow, UnknownSets, rule, static_shape
from .index_sets import EMPTY


@rule("Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm")
def reduced(flow: Flow, operation: Any) -> Dependence:
    """Unions along the reduced axes."""
    x, axes = operation.inputs
    numbers = flow.numbers(x)
    found = along(flow, numbers, np.ravel(flow.constant(axes)))
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise UnknownSets
    return [found.reshape(shape)]


@rule("Softmax", "LogSoftmax")
def softmax(flow: Flow, operation: Any) -> Dependence:
    """Each element depends on its whole row."""
    numbers = flow.numbers(operation.inputs[0])
    return [np.broadcast_to(flow.sets.union(numbers)[..., None], numbers.shape)]


@rule("BiasAddGrad")
def by_channel(flow: Flow, operation: Any) -> Dependence:
    """Unions of all axes but the channels'."""
    numbers = flow.numbers(operation.inputs[0])
    channels = 1 if operation.get_attr("data_format") == b"NCHW" else numbers.ndim - 1
    return [along(flow, numbers, [axis for axis in range(numbers.ndim) if axis != channels])]


@rule("Cumsum", "Cumprod", "CumulativeLogsumexp")
def running(flow: Flow, operation: Any) -> Dependence:
    """Each element depends on those before it: unions over twice the distance at every step."""
    numbers = np.moveaxis(flow.numbers(operation.inputs[0]), int(flow.constant(operation.inputs[1])), -1)
    backwards = operation.get_attr("reverse")
    numbers = numbers[..., ::-1] if backwards else numbers
    if operation.get_attr("exclusive"):
        numbers = _shifted(numbers, 1)
    distance = 1
    while distance < numbers.shape[-1]:
        numbers = flow.sets.union(np.stack([numbers, _shifted(numbers, distance)], -1))
        distance *= 2
    numbers = numbers[..., ::-1] if backwards else numbers
    return [np.moveaxis(numbers, -1, int(flow.constant(operation.inputs[1])))]


@rule("UnsortedSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd")
@rule("SegmentSum", "SegmentMean", "SegmentMax", "SegmentMin", "SegmentProd")
def by_segment(flow: Flow, operation: Any) -> Dependence:
    """Unions of the elements with the same segment."""
    data, segments = flow.numbers(operation.inputs[0]), flow.constant(operation.inputs[1])
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise UnknownSets
    inner = data.shape[segments.ndim :]
    width = int(np.prod(inner, dtype=int))
    groups = np.where(segments < 0, -1, segments).reshape(-1, 1) * width + np.arange(width)
    groups = np.where(segments.reshape(-1, 1) < 0, -1, groups)
    return [flow.sets.grouped(data, groups, int(np.prod(shape, dtype=int))).reshape(shape)]


@rule("ScatterNd", "TensorScatterAdd", "TensorScatterSub")
def scattered(flow: Flow, operation: Any) -> Dependence:
    """Elements with the same index are added."""
    shape = static_shape(operation.outputs[0])
    first = operation.type == "ScatterNd"
    indices = flow.constant(operation.inputs[0 if first else 1])
    updates = flow.numbers(operation.inputs[1 if first else 2])
    if shape is None:
        raise UnknownSets
    positions = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    targets = positions[tuple(np.moveaxis(indices, -1, 0))] if indices.shape[-1] else np.broadcast_to(positions, shape)
    found = flow.sets.grouped(updates, np.broadcast_to(targets, updates.shape), positions.size).reshape(shape)
    return [found if first else flow.either(flow.numbers(operation.inputs[0]), found)]


@rule("SparseTensorDenseMatMul")
def sparse_product(flow: Flow, operation: Any) -> Dependence:
    """Each row depends on the rows of the dense matrix for which the sparse one has an entry.

    Raises:
        UnknownSets: the entries depend on x, or only a run knows where they are.
    """
    indices, values, _, matrix = operation.inputs
    if flow.depends(values) or operation.get_attr("adjoint_b"):
        raise UnknownSets
    rows, columns = np.moveaxis(flow.constant(indices), -1, 0)[:: -1 if operation.get_attr("adjoint_a") else 1]
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise UnknownSets
    groups = rows[:, None] * shape[1] + np.arange(shape[1])
    return [flow.sets.grouped(flow.numbers(matrix)[columns], groups, shape[0] * shape[1]).reshape(shape)]


def along(flow: Flow, numbers: np.ndarray, axes: Any) -> np.ndarray:
    """Unions along ``axes``, which the result no longer has."""
    axes = sorted({int(axis) % numbers.ndim for axis in axes}) if numbers.ndim else []
    kept = [axis for axis in range(numbers.ndim) if axis not in axes]
    moved = np.transpose(numbers, kept + axes)
    return flow.sets.union(moved.reshape(*[numbers.shape[axis] for axis in kept], -1))


def _shifted(numbers: np.ndarray, distance: int) -> np.ndarray:
    empty = np.full([*numbers.shape[:-1], distance], EMPTY)
    return np.concatenate([empty, numbers], -1)[..., : numbers.shape[-1]]


@rule("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def matrix_product(flow: Flow, operation: Any) -> Dependence:
    """Each element depends on a row of the left and a column of the right matrix."""
    flags = ("transpose_a", "transpose_b") if operation.type == "MatMul" else ("adj_x", "adj_y")
    left, right = operation.inputs[:2]
    flip_left, flip_right = (operation.get_attr(flag) for flag in flags)
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise UnknownSets
    found: Any = None
    if flow.depends(left):
        rows = contracted(flow, _flipped(flow.numbers(left), flip_left), _mask(flow, right, flip_right))
        found = np.broadcast_to(rows, shape)
    if flow.depends(right):
        columns = contracted(flow, _flipped(flow.numbers(right), not flip_right), _mask(flow, left, not flip_left))
        found = flow.join(found, np.broadcast_to(np.swapaxes(columns, -1, -2), shape))
    return [found]


@rule("Einsum")
def einsum(flow: Flow, operation: Any) -> Dependence:
    """Of each operand: unions along the axes that the result lacks, spread over the axes of the other operands.

    Raises:
        UnknownSets: an ellipsis, or a diagonal.
    """
    given, _, result = operation.get_attr("equation").decode().replace(" ", "").partition("->")
    terms = given.split(",")
    shape = static_shape(operation.outputs[0])
    if shape is None or any(len(set(term)) < len(term) or "." in term for term in [*terms, result]):
        raise UnknownSets
    found: Any = None
    for tensor, term in zip(operation.inputs, terms, strict=True):
        if flow.depends(tensor):
            kept = [label for label in term if label in result]
            summed = along(flow, flow.numbers(tensor), [i for i, label in enumerate(term) if label not in result])
            ordered = np.transpose(summed, [kept.index(label) for label in result if label in kept])
            spread = ordered.reshape([shape[i] if label in kept else 1 for i, label in enumerate(result)])
            found = flow.join(found, np.broadcast_to(spread, shape))
    return [found]


def contracted(flow: Flow, numbers: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """``[..., k]`` to ``[..., n]`` by a mask ``[k, n]`` of factors that aren't zero; to ``[..., 1]`` without one."""
    if mask is None or mask.all():
        return flow.sets.union(numbers)[..., None]
    distinct, places = np.unique(mask, axis=1, return_inverse=True)
    result = np.full([*numbers.shape[:-1], distinct.shape[1]], EMPTY)
    padded = np.concatenate([numbers, np.full([*numbers.shape[:-1], 1], EMPTY)], -1)
    counts = distinct.sum(axis=0)
    # Columns with about as many entries are done together, so that a long one doesn't pad all others.
    sizes = np.ceil(np.log2(np.maximum(counts, 1))).astype(int)
    for size in np.unique(sizes[counts > 0]):
        columns = np.flatnonzero((sizes == size) & (counts > 0))
        taps = np.full((len(columns), counts[columns].max()), mask.shape[0])
        for row, column in enumerate(columns):
            taps[row, : counts[column]] = np.flatnonzero(distinct[:, column])
        result[..., columns] = flow.sets.union(padded[..., taps])
    return result[..., np.ravel(places)]


def _mask(flow: Flow, tensor: Any, flipped: bool) -> np.ndarray | None:
    """Where a matrix of constants is not zero; None where its values aren't known."""
    value = None if flow.depends(tensor) else flow.constants.value(tensor)
    if value is None or value.ndim != 2:
        return None
    return (value.T if flipped else value) != 0


def _flipped(numbers: np.ndarray, flip: bool) -> np.ndarray:
    return np.swapaxes(numbers, -1, -2) if flip else numbers
