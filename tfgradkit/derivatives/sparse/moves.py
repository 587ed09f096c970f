"""Ops that move elements about: run on the numbers of the sets, they say where each element came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .constants import run
from .flow import Flow, Found, Unknown, rule, static_shape

_MOVES = """
BatchToSpace BatchToSpaceND BroadcastTo Concat ConcatV2 DepthToSpace Diag DiagPart DynamicStitch
ExtractImagePatches ExtractVolumePatches Gather GatherNd GatherV2 MatrixBandPart MatrixDiag
MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3 MatrixSetDiag
MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad Pack Pad PadV2 ParallelDynamicStitch ResizeNearestNeighbor
ReverseSequence ReverseV2 Roll Slice SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV StridedSlice
StridedSliceGrad TensorScatterUpdate Tile Transpose Unpack
"""


@rule("Reshape", "Squeeze", "ExpandDims", "EnsureShape")
def reshaped(flow: Flow, operation: Any) -> Found:
    """The same elements in another shape."""
    shape = static_shape(operation.outputs[0])
    if shape is None:
        raise Unknown
    return [flow.numbers(operation.inputs[0]).reshape(shape)]


@rule(*_MOVES.split())
def moved(flow: Flow, operation: Any) -> Found:
    """The op itself, of the numbers: zeros that it fills in are the empty set.

    Raises:
        Unknown: indices or sizes that only the run knows.
    """
    values = [flow.numbers(t) if t.dtype.is_floating or t.dtype.is_complex else flow.value(t) for t in operation.inputs]
    # float64 holds whole numbers up to 2**53, and every kernel takes it.
    results = run(operation, values, tf.float64)
    if results is None:
        raise Unknown
    return [np.asarray(result).astype(np.int64) for result in results]
