"""Gradients that are refused: of ops that TensorFlow leaves out without a word, and rules that are not linear.

Some ops are registered as not differentiable, although they are: a tape then gives None, or the sum of the other paths,
and nobody is told. Here it is an error that names the op.

A gradient that is not linear in u, the upstream gradient, is marked where it is made. A product uᵀJ with one u is then
still what a tape gives. But Jv, Jacobians and Hessians rest on uᵀJ being linear in u: the rule stands for no J.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from ..errors import GradientError
from ..graph.python_code import PYTHON_OPS
from .register_gradient import rules_in_force

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
# Part of the name of a scope.
_MARK = "nonlinear_in_upstream"


def refuse_silent(operations: Iterable[Any]) -> None:
    """Raises :class:`GradientError` where one of ``operations``, all on the way from x, is in ``SILENT_OPS``.

    An op for which the user has registered a rule passes.
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


def nonlinear_scope(what: str) -> AbstractContextManager[Any]:
    """A name scope that marks the ``tf.custom_gradient``s made in it; names survive in SavedModels."""
    return tf.name_scope(f"{what}_{_MARK}")


def refuse_nonlinear(operations: Iterable[Any]) -> None:
    """Raises :class:`GradientError` where one of ``operations``, all on the way from x, was marked."""
    for operation in operations:
        if operation.type == "IdentityN" and _MARK in operation.name:
            what = next(part for part in operation.name.split("/") if _MARK in part).partition(f"_{_MARK}")[0]
            raise GradientError(
                f"{what} is not linear in the gradient, so no Jacobian stands behind it",
                subject=f"op {operation.name}",
                expected="gradient, vjp or a tape, which pass one gradient back",
                got="a Jacobian, a Hessian, or a product with one (jvp, hvp)",
                hint=f"the same function without {what}: forward it is the identity",
            )
