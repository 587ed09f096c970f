"""A frozen graph written anew, with substitutes for the ops that XLA doesn't make kernels of.

This happens after everything is differentiated: what is written here needs no gradient.

The one file that touches ``tensorflow.python.framework.function_def_to_graph``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from ....graph.emit import copied
from ....graph.interpret import Interpreter
from ....graph.ops import BRANCHES, LOOPS
from .substitute_ops import SUBSTITUTES


def substituted(frozen: Any) -> Any:
    """``frozen``, a concrete function without variables, with substitutes for the ops that have one."""
    definition = frozen.graph.as_graph_def()
    nodes = (*definition.node, *(node for function in definition.library.function for node in function.node_def))
    if {node.op for node in nodes}.isdisjoint(SUBSTITUTES):
        return frozen

    definitions = {function.signature.name: function for function in definition.library.function}

    def replayed(*inputs: tf.Tensor) -> list[tf.Tensor]:
        known = {old.ref(): new for old, new in zip(frozen.inputs, inputs, strict=True)}
        return _Substituting(known, definitions).run(frozen.graph.get_operations(), frozen.outputs)

    specs = [tf.TensorSpec(x.shape, x.dtype, name=x.op.name) for x in frozen.inputs]
    return tf.function(replayed, autograph=False, jit_compile=True).get_concrete_function(*specs)


class _Substituting(Interpreter[tf.Tensor]):
    """Writes the ops of a graph into the current one: a value is the tensor that stands for one of the graph."""

    replaced = None

    def __init__(self, known: dict[Any, Any], definitions: dict[str, Any]) -> None:
        super().__init__(known)
        self._definitions = definitions

    def op(self, operation: Any, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        """Its substitute, or the op again."""
        if operation.type not in SUBSTITUTES:
            return copied(operation, inputs)
        with tf.name_scope(f"{operation.name}/"):
            made = SUBSTITUTES[operation.type](operation, *inputs)
        results = made if isinstance(made, tuple) else (made,)
        # XLA's own ops don't tell shapes.
        return [tf.ensure_shape(y, like.shape) for y, like in zip(results, operation.outputs, strict=True)]

    def functions(self, operation: Any) -> list[Any]:
        """The graphs of branches and loops are made of their definitions: freezing leaves no others."""
        found = super().functions(operation)
        return [_graph_of(operation, self._definitions[name]) for name in _names(operation)] if None in found else found

    def outside(self, tensor: Any) -> tf.Tensor:
        """A constant of the graph around a function stands for itself."""
        return tensor

    def branch(self, operation: Any, graphs: list[Any], inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        """Branches are built anew."""
        by_number = graphs if operation.type.endswith("Case") else graphs[::-1]
        branches = [partial(self.through, operation, graph, inputs[1:]) for graph in by_number]
        return list(tf.nest.flatten(tf.switch_case(tf.cast(inputs[0], tf.int32), branches)))

    def loop(self, operation: Any, condition: Any, body: Any, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
        """A loop is built anew."""
        return list(
            tf.while_loop(
                lambda *state: tf.reshape(self.through(operation, condition, state)[0], []),
                lambda *state: self.through(operation, body, state),
                inputs,
                shape_invariants=[tensor.shape for tensor in operation.outputs],
            )
        )


def _names(operation: Any) -> list[str]:
    """The names of the functions of a call, a branch or a loop, those of a loop as condition and body."""
    attributes = operation.node_def.attr
    if operation.type in LOOPS:
        return [attributes["cond"].func.name, attributes["body"].func.name]
    if operation.type.endswith("Case"):
        return [function.name for function in attributes["branches"].list.func]
    if operation.type.endswith("If"):
        return [attributes["then_branch"].func.name, attributes["else_branch"].func.name]
    return [attributes["f"].func.name]


def _graph_of(operation: Any, definition: Any) -> Any:
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

    given = operation.inputs[1 if operation.type in BRANCHES else 0 :]
    with operation.graph.as_default():
        return function_def_to_graph(definition, [tensor.shape for tensor in given], include_library_functions=True)
