"""Ops that make one element of many: sums along axes, running sums, sums by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from .flow import Flow, Found, Unknown, rule, static_shape
from .sets import EMPTY


@rule("Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm")
def reduced(flow: Flow, operation: Any) -> Found:
    """Unions along the reduced axes."""
    x, axes = operation.inputs
    numbers = flow.numbers(x)
    found = along(flow, numbers, np.ravel(flow.value(axes)))
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise Unknown
    return [found.reshape(shape)]


@rule("Softmax", "LogSoftmax")
def softmax(flow: Flow, operation: Any) -> Found:
    """Each element depends on all of its row."""
    numbers = flow.numbers(operation.inputs[0])
    return [np.broadcast_to(flow.sets.union(numbers)[..., None], numbers.shape)]


@rule("BiasAddGrad")
def by_channel(flow: Flow, operation: Any) -> Found:
    """Unions of all axes but the channels'."""
    numbers = flow.numbers(operation.inputs[0])
    channels = 1 if operation.get_attr("data_format") == b"NCHW" else numbers.ndim - 1
    return [along(flow, numbers, [axis for axis in range(numbers.ndim) if axis != channels])]


@rule("Cumsum", "Cumprod", "CumulativeLogsumexp")
def running(flow: Flow, operation: Any) -> Found:
    """Each element depends on those before it: unions over twice the distance at every step."""
    numbers = np.moveaxis(flow.numbers(operation.inputs[0]), int(flow.value(operation.inputs[1])), -1)
    backwards = operation.get_attr("reverse")
    numbers = numbers[..., ::-1] if backwards else numbers
    if operation.get_attr("exclusive"):
        numbers = _shifted(numbers, 1)
    distance = 1
    while distance < numbers.shape[-1]:
        numbers = flow.sets.union(np.stack([numbers, _shifted(numbers, distance)], -1))
        distance *= 2
    numbers = numbers[..., ::-1] if backwards else numbers
    return [np.moveaxis(numbers, -1, int(flow.value(operation.inputs[1])))]


@rule("UnsortedSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd")
@rule("SegmentSum", "SegmentMean", "SegmentMax", "SegmentMin", "SegmentProd")
def by_segment(flow: Flow, operation: Any) -> Found:
    """Unions of the elements with the same segment."""
    data, segments = flow.numbers(operation.inputs[0]), flow.value(operation.inputs[1])
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise Unknown
    inner = data.shape[segments.ndim :]
    width = int(np.prod(inner, dtype=int))
    groups = np.where(segments < 0, -1, segments).reshape(-1, 1) * width + np.arange(width)
    groups = np.where(segments.reshape(-1, 1) < 0, -1, groups)
    return [flow.sets.grouped(data, groups, int(np.prod(shape, dtype=int))).reshape(shape)]


@rule("ScatterNd", "TensorScatterAdd", "TensorScatterSub")
def scattered(flow: Flow, operation: Any) -> Found:
    """Elements with the same index are added."""
    shape = static_shape(operation.outputs[0])
    first = operation.type == "ScatterNd"
    indices = flow.value(operation.inputs[0 if first else 1])
    updates = flow.numbers(operation.inputs[1 if first else 2])
    if shape is None:
        raise Unknown
    positions = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    targets = positions[tuple(np.moveaxis(indices, -1, 0))] if indices.shape[-1] else np.broadcast_to(positions, shape)
    found = flow.sets.grouped(updates, np.broadcast_to(targets, updates.shape), positions.size).reshape(shape)
    return [found if first else flow.either(flow.numbers(operation.inputs[0]), found)]


@rule("SparseTensorDenseMatMul")
def sparse_product(flow: Flow, operation: Any) -> Found:
    """Rows of the dense matrix, where the sparse one has an entry.

    Raises:
        Unknown: the entries themselves depend on x, or only the run knows where they are.
    """
    indices, values, _, matrix = operation.inputs
    if flow.depends(values) or operation.get_attr("adjoint_b"):
        raise Unknown
    rows, columns = np.moveaxis(flow.value(indices), -1, 0)[:: -1 if operation.get_attr("adjoint_a") else 1]
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise Unknown
    groups = rows[:, None] * shape[1] + np.arange(shape[1])
    return [flow.sets.grouped(flow.numbers(matrix)[columns], groups, shape[0] * shape[1]).reshape(shape)]


def along(flow: Flow, numbers: np.ndarray, axes: Any) -> np.ndarray:
    """Unions along ``axes``, which are gone then."""
    axes = sorted({int(axis) % numbers.ndim for axis in axes}) if numbers.ndim else []
    kept = [axis for axis in range(numbers.ndim) if axis not in axes]
    moved = np.transpose(numbers, kept + axes)
    return flow.sets.union(moved.reshape(*[numbers.shape[axis] for axis in kept], -1))


def _shifted(numbers: np.ndarray, distance: int) -> np.ndarray:
    empty = np.full([*numbers.shape[:-1], distance], EMPTY)
    return np.concatenate([empty, numbers], -1)[..., : numbers.shape[-1]]
