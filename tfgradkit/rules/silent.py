"""Ops whose gradient TensorFlow leaves out without a word, and finding them on the way from x.

TensorFlow registers them as not differentiable, although they are: a tape then gives None, or the
sum of the other paths, and nobody is told. Here it is an error that names the op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from ..errors import GradientError

# All take what they differentiate by as their first input.
SILENT_OPS = frozenset({"ExtractGlimpse", "ExtractGlimpseV2", "HSVToRGB", "ResizeBilinearGrad"})


def checked(build: Callable[[tf.Tensor], Any], x: tf.Tensor) -> Any:
    """``build(x)`` in the current graph.

    Raises:
        GradientError: the result may depend on ``x`` through one of ``SILENT_OPS``.
    """
    if tf.executing_eagerly():
        return build(x)
    before = len(x.graph.get_operations()) if x.graph is tf.compat.v1.get_default_graph() else None
    result = build(x)
    if before is not None:
        _refuse_silent(x, x.graph.get_operations()[before:])
    return result


def _refuse_silent(x: tf.Tensor, operations: Iterable[Any]) -> None:
    reached = {x.ref()}
    for operation in operations:
        if not any(tensor.ref() in reached for tensor in operation.inputs):
            continue
        own = {operation.type} if operation.inputs[0].ref() in reached else set()
        if found := SILENT_OPS & (own | _called(operation)):
            raise GradientError(
                "the derivative would miss an op that TensorFlow registers as not differentiable, although it is",
                subject=f"op {sorted(found)[0]}, {operation.name}",
                hint='mode="reverse" for a first derivative; for a second, another op, such as "nearest" resizing',
            )
        reached.update(tensor.ref() for tensor in operation.outputs)


def _called(operation: Any) -> set[str]:
    """Types of the ops in the functions that an operation calls, theirs included."""
    names = [attribute.func.name for attribute in operation.node_def.attr.values() if attribute.HasField("func")]
    if not names:
        return set()
    library = {f.signature.name: f for f in operation.graph.as_graph_def().library.function}
    types: set[str] = set()
    while names:
        function = library.pop(names.pop(), None)
        for node in function.node_def if function is not None else ():
            types.add(node.op)
            names += [attribute.func.name for attribute in node.attr.values() if attribute.HasField("func")]
    return types
