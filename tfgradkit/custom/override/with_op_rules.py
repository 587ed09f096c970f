"""Calling a function with rules for the ops in it: traced as it is, then written again with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from ...errors import SignatureError
from ...graph.ops import CALLS, everywhere, op_types
from ...graph.trace import flat_function, is_tensor_or_variable, specs_of
from .rewrite import Replay
from .rule_targets import OverrideRule


class WithOpRules:
    """``call`` with ``rules`` in place of the gradients of types of op; ``checked`` says that there are such ops.

    Raises (when called):
        SignatureError: there is no op of a type.
    """

    def __init__(self, rules: Mapping[str, OverrideRule], call: Callable[..., Any], *, checked: bool = False) -> None:
        self._rules = rules
        self._call = call
        self._checked = checked
        self._function = tf.function(self._written, autograph=False)

    def __call__(self, *arguments: Any) -> Any:
        """The value of ``call``."""
        return (self._function if tf.executing_eagerly() else self._written)(*arguments)

    def _written(self, *arguments: Any) -> Any:
        """In the current graph."""
        flat, leaves = flat_function(lambda given: self._call(*given), arguments, is_tensor_or_variable)
        tensors = [tf.convert_to_tensor(leaf) for leaf in leaves]
        graph = tf.function(flat, autograph=False).get_concrete_function(*specs_of(tensors)).graph
        if not self._checked:
            check_op_types(self._rules, [graph])
        known = {inner.ref(): outer for outer, inner in graph.captures}
        known |= {inner.ref(): tensor for inner, tensor in zip(graph.inputs, tensors, strict=False)}
        outputs = [y for y in tf.nest.flatten(graph.structured_outputs) if y is not None]
        results = iter(Replay(self._rules, graph.variables, known).run(graph.get_operations(), outputs))
        return tf.nest.map_structure(lambda y: None if y is None else next(results), graph.structured_outputs)


def check_op_types(rules: Iterable[str], graphs: Sequence[Any]) -> None:
    """Raises :class:`SignatureError` where none of ``graphs`` has an op of one of the types."""
    there = set().union(*map(op_types, graphs))
    for wanted in rules:
        if wanted not in there:
            raise SignatureError(
                "the function has no such op",
                subject=repr(wanted),
                expected=" | ".join(sorted(set().union(*map(_differentiable, graphs)))),
                hint='a layer is named "layer:NAME", an activation is given as a function: keras.activations.relu',
            )


def _differentiable(graph: Any) -> set[str]:
    """Types of ops that take and give floating tensors."""
    found = {
        operation.type
        for operation in everywhere(graph.get_operations())
        if any(x.dtype.is_floating for x in operation.inputs) and any(y.dtype.is_floating for y in operation.outputs)
    }
    return found - CALLS - {"Identity", "IdentityN"}
