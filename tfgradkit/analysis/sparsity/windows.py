"""Convolutions, their transposes, pooling and resizing: each element depends on a window of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...graph.emit import computed
from .domain import Dependence, Flow, UnknownSets, rule, static_shape
from .index_sets import EMPTY
from .sums import contracted


class Geometry:
    """Where the windows of an op lie; arrays have the channels last.

    Attributes:
        spatial: the axes of the tensor that windows move along.
        size, strides, dilations, padding: for each of these axes.
    """

    def __init__(self, operation: Any, size: Sequence[int], inner: Sequence[int], outer: Sequence[int]) -> None:
        layout = operation.get_attr("data_format").decode()
        self.first = layout.startswith("NC")
        rank = len(layout)
        self.spatial = list(range(2, rank)) if self.first else list(range(1, rank - 1))
        self.size = list(size) if len(size) == rank - 2 else [size[axis] for axis in self.spatial]
        self.strides = [operation.get_attr("strides")[axis] for axis in self.spatial]
        attributes = operation.node_def.attr
        self.dilations = (
            [operation.get_attr("dilations")[axis] for axis in self.spatial]
            if "dilations" in attributes
            else [1] * len(self.spatial)
        )
        self.padding = self._padding(operation, [inner[a] for a in self.spatial], [outer[a] for a in self.spatial])

    def _padding(self, operation: Any, inner: Sequence[int], outer: Sequence[int]) -> list[tuple[int, int]]:
        kind = operation.get_attr("padding")
        if kind == b"EXPLICIT":
            listed = operation.get_attr("explicit_paddings")
            return [(listed[2 * axis], listed[2 * axis + 1]) for axis in self.spatial]
        found = []
        for count, windows, size, stride, dilation in zip(
            inner, outer, self.size, self.strides, self.dilations, strict=True
        ):
            total = max((windows - 1) * stride + (size - 1) * dilation + 1 - count, 0) if kind == b"SAME" else 0
            found.append((total // 2, total - total // 2))
        return found

    def last(self, numbers: np.ndarray) -> np.ndarray:
        """``numbers`` with the channels last."""
        return np.moveaxis(numbers, 1, -1) if self.first else numbers

    def back(self, numbers: np.ndarray) -> np.ndarray:
        """``numbers``, whose channels are last, with the channels where the op has them."""
        return np.moveaxis(numbers, -1, 1) if self.first else numbers

    def windows(self, numbers: np.ndarray, fill: int = EMPTY) -> np.ndarray:
        """``[N, *spatial, C] → [N, *windows, C, *size]``."""
        axes = tuple(range(1, numbers.ndim - 1))
        padded = np.pad(numbers, [(0, 0), *self.padding, (0, 0)], constant_values=fill)
        extents = [(size - 1) * d + 1 for size, d in zip(self.size, self.dilations, strict=True)]
        views = np.lib.stride_tricks.sliding_window_view(padded, extents, axes)
        strided = [slice(None), *(slice(None, None, s) for s in self.strides), slice(None)]
        dilated = [slice(None, None, d) for d in self.dilations]
        return views[tuple(strided + dilated)]


@rule("Conv2D", "Conv3D")
def convolution(flow: Flow, operation: Any) -> Dependence:
    """Windows over all channels of a group, but for the taps at which a constant kernel is zero."""
    x, kernel = operation.inputs
    shape, taps = static_shape(operation.outputs[0]), static_shape(kernel)
    if flow.depends(kernel) or shape is None or taps is None:
        raise UnknownSets
    numbers = flow.numbers(x)
    geometry = Geometry(operation, taps[:-2], numbers.shape, shape)
    windows = geometry.windows(geometry.last(numbers))  # [N, *windows, C, *taps]
    groups = windows.shape[-len(taps) + 1] // taps[-2]
    value = flow.constants.value(kernel)
    mask = None if value is None else np.moveaxis(value != 0, -2, 0).reshape(-1, taps[-1])
    lead = windows.shape[: len(taps) - 1]
    parts = []
    for group in range(groups):
        channels = slice(group * taps[-2], (group + 1) * taps[-2])
        rows = windows[(slice(None),) * len(lead) + (channels,)].reshape(*lead, -1)
        outputs = slice(group * (taps[-1] // groups), (group + 1) * (taps[-1] // groups))
        part = contracted(flow, rows, None if mask is None else mask[:, outputs])
        parts.append(np.broadcast_to(part, [*lead, taps[-1] // groups]))
    return [geometry.back(np.concatenate(parts, -1)).reshape(shape)]


@rule("DepthwiseConv2dNative")
def depthwise(flow: Flow, operation: Any) -> Dependence:
    """Windows of one channel."""
    x, kernel = operation.inputs
    shape, taps = static_shape(operation.outputs[0]), static_shape(kernel)
    if flow.depends(kernel) or shape is None or taps is None:
        raise UnknownSets
    numbers = flow.numbers(x)
    geometry = Geometry(operation, taps[:2], numbers.shape, shape)
    return [geometry.back(np.repeat(_joined(flow, geometry, numbers), taps[3], axis=-1)).reshape(shape)]


@rule("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D")
def pooling(flow: Flow, operation: Any) -> Dependence:
    """Windows of one channel."""
    x, shape = operation.inputs[0], static_shape(operation.outputs[0])
    if shape is None:
        raise UnknownSets
    numbers, size = flow.numbers(x), operation.get_attr("ksize")
    channels = 1 if operation.get_attr("data_format").startswith(b"NC") else len(size) - 1
    if size[0] != 1 or size[channels] != 1:
        raise UnknownSets
    geometry = Geometry(operation, size, numbers.shape, shape)
    return [geometry.back(_joined(flow, geometry, numbers)).reshape(shape)]


@rule("Conv2DBackpropInput", "Conv3DBackpropInputV2", "DepthwiseConv2dNativeBackpropInput")
def transposed_convolution(flow: Flow, operation: Any) -> Dependence:
    """The windows of the convolution whose transpose the op is, read the other way round."""
    _, kernel, y = operation.inputs
    shape, taps = static_shape(operation.outputs[0]), static_shape(kernel)
    if flow.depends(kernel) or shape is None or taps is None:
        raise UnknownSets
    numbers = flow.numbers(y)
    geometry = Geometry(operation, taps[:-2], shape, numbers.shape)
    numbers = geometry.last(numbers)
    whole = geometry.last(np.empty(shape, bool)).shape
    separate = operation.type.startswith("Depthwise")
    blocks = whole[-1] if separate else whole[-1] // taps[-2]
    sources = flow.sets.union(numbers.reshape(*numbers.shape[:-1], blocks, -1))  # [N, *windows, blocks]
    places = np.arange(int(np.prod(whole[:-1]))).reshape(*whole[:-1], 1)
    targets = geometry.windows(places, fill=-1)  # [N, *windows, 1, *taps]
    parts = []
    for block in range(blocks):
        source = sources[..., block].reshape([*sources.shape[:-1], 1, *[1] * len(geometry.size)])
        spread = np.broadcast_to(source, targets.shape)
        part = flow.sets.grouped(spread, targets, places.size).reshape(*whole[:-1], 1)
        parts.append(np.broadcast_to(part, [*whole[:-1], whole[-1] // blocks]))
    return [geometry.back(np.concatenate(parts, -1)).reshape(shape)]


@rule("ResizeBilinear", "ResizeBicubic", "ResizeArea")
def resized(flow: Flow, operation: Any) -> Dependence:
    """The two axes, one after the other: resizing unit vectors shows which elements each result is made of."""
    images, size = operation.inputs
    numbers, target = flow.numbers(images), [int(n) for n in flow.constant(size)]
    for axis in (1, 2):
        mask = _resized_units(operation, numbers.shape[axis], target[axis - 1], axis)
        numbers = np.moveaxis(contracted(flow, np.moveaxis(numbers, axis, -1), mask), -1, axis)
        shape = list(numbers.shape)
        shape[axis] = target[axis - 1]
        numbers = np.broadcast_to(numbers, shape)
    return [numbers]


def _resized_units(operation: Any, count: int, target: int, axis: int) -> np.ndarray:
    # Channels are the unit vectors; the other axis has one element.
    units = np.expand_dims(np.eye(count), 2 - axis)[None]
    results = computed(operation, [units, [target, 1] if axis == 1 else [1, target]])
    if results is None:
        raise UnknownSets
    return np.squeeze(results[0], (0, 3 - axis)).T != 0


def _joined(flow: Flow, geometry: Geometry, numbers: np.ndarray) -> np.ndarray:
    """``[N, *windows, C]``: the union of each window."""
    windows = geometry.windows(geometry.last(numbers))
    return flow.sets.union(windows.reshape(*windows.shape[: numbers.ndim], -1))
