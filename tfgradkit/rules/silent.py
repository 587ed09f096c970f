"""Ops whose gradient TensorFlow leaves out without a word, and finding them on the way from x.

TensorFlow registers them as not differentiable, although they are: a tape then gives None, or the
sum of the other paths, and nobody is told. Here it is an error that names the op.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import GradientError

SILENT_OPS = frozenset(
    {
        "DrawBoundingBoxes",
        "ExtractGlimpse",
        "FakeQuantWithMinMaxArgsGradient",
        "FakeQuantWithMinMaxVarsGradient",
        "FakeQuantWithMinMaxVarsPerChannelGradient",
        "HSVToRGB",
        "ParameterizedTruncatedNormal",
        "PyFunc",
        "PyFuncStateless",
        "RandomCrop",
        "ResizeBilinearGrad",
        "SparseAddGrad",
        "SparseConcat",
        "TensorListConcatLists",
        "TensorListPushBackBatch",
        "XlaVariadicReduce",
    }
)


def refuse_silent(operations: Iterable[Any]) -> None:
    """Raises :class:`GradientError` where one of ``operations``, all on the way from x, is in ``SILENT_OPS``."""
    for operation in operations:
        if operation.type in SILENT_OPS:
            raise GradientError(
                "the derivative would miss an op that TensorFlow registers as not differentiable, although it is",
                subject=f"op {operation.type}, {operation.name}",
                hint="write the same calculation with other ops, or with a gradient of its own (tf.custom_gradient)",
            )
