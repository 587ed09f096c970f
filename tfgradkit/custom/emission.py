"""One op of a traced graph made again in the current graph, on other inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ..derivatives.taylor.jet import NoRuleError, emit
from ..errors import GradientError

# What the gradients of loops and branches ask of their op beside its attributes.
_ASKED = "_num_original_outputs"


def emitted(operation: Any, inputs: Sequence[Any]) -> list[Any]:
    """The results of an op like ``operation``, with its attributes and the functions it calls.

    Raises:
        GradientError: TensorFlow has no such op in Python.
    """
    _add_functions(operation, tf.compat.v1.get_default_graph())
    try:
        results = emit(operation, list(inputs))
    except NoRuleError as error:
        raise GradientError(
            "an op of the graph can't be written again",
            subject=f"{operation.type} {operation.name}",
            hint='a rule for a layer: {"layer:NAME": rule}',
        ) from error
    if not operation.outputs:
        return []
    if _ASKED in operation.node_def.attr:
        results[0].op._set_attr(_ASKED, operation.node_def.attr[_ASKED])
    return results


def _add_functions(operation: Any, target: Any) -> None:
    for attribute in operation.node_def.attr.values():
        names = [attribute.func.name] if attribute.HasField("func") else [f.name for f in attribute.list.func]
        for function in map(operation.graph._get_function, names):
            if function is not None:
                function.add_to_graph(target)
