"""Ops whose gradient TensorFlow leaves out without a word, and finding them on the way from x.

TensorFlow registers them as not differentiable, although they are: a tape then gives None, or the
sum of the other paths, and nobody is told. Here it is an error that names the op.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import GradientError
from .python_code import PYTHON_OPS
from .register import rules_in_force

SILENT_OPS = frozenset(
    {
        "CTCGreedyDecoder",
        "DrawBoundingBoxes",
        "ExtractGlimpse",
        "FakeQuantWithMinMaxArgsGradient",
        "FakeQuantWithMinMaxVarsGradient",
        "FakeQuantWithMinMaxVarsPerChannelGradient",
        "GenerateBoundingBoxProposals",
        "HSVToRGB",
        "OneHot",
        "ParameterizedTruncatedNormal",
        "PyFunc",
        "PyFuncStateless",
        "RaggedRange",
        "RandomCrop",
        "RandomShuffle",
        "ResizeBilinearGrad",
        "SparseAddGrad",
        "SparseConcat",
        "TensorListConcatLists",
        "TensorListPushBackBatch",
        "XlaVariadicReduce",
    }
)


def refuse_silent(operations: Iterable[Any]) -> None:
    """Raises :class:`GradientError` where one of ``operations``, all on the way from x, is in ``SILENT_OPS``.

    A rule that the user registered in spite of that is heeded.
    """
    refused = SILENT_OPS - {rule.op_type for rule in rules_in_force()}
    for operation in operations:
        if operation.type in refused:
            raise GradientError(
                "the derivative would miss an op that TensorFlow registers as not differentiable, although it is",
                subject=f"op {operation.type}, {operation.name}",
                hint="tfgradkit.wrap_external(fn, output_spec, derivative=...) instead"
                if operation.type in PYTHON_OPS
                else "write the same calculation with other ops, or with a gradient of its own (tf.custom_gradient)",
            )
