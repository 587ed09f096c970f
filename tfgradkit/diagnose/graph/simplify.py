"""``simplify``: a function without variables and calls, its constants folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...derivatives.failures.foreign_errors import translating
from ...graph.grappler import frozen, optimized
from .constant_results import ConstantResults, constants_of
from .equal_results import check_equal, differ, repacked
from .graph_view import GraphView, view


@dataclass(frozen=True)
class Simplified:
    """A function, as it was and simplified.

    Attributes:
        seen: as it was.
        concrete: simplified, of the same arguments and results.
        constants: the results that don't depend on the arguments, and the work for one sample.
    """

    seen: GraphView
    concrete: Any
    constants: ConstantResults


@translating
def simplify(fn: Any, *specs: Any, batched: bool | None = None, training: bool = False) -> Any:
    """A ``ConcreteFunction`` that gives what ``fn`` gives, with less to do: no variables, no calls.

    Variables are frozen to the values they have now. TensorFlow's Grappler folds constants, joins common
    subexpressions and drops what isn't needed. A result that doesn't depend on the arguments, as Grappler or XLA find
    for one sample, becomes a constant. The result is compared with ``fn`` at random arguments.

    Args:
        fn: what every operator takes, a ``Derivative``, or a TensorFlow 1 graph from :func:`tfgradkit.load`.
        specs: a ``tf.TensorSpec``, or a value, for each argument; none for those of the function itself. A seed
            (``output_gradients``, ``tangents``) comes last.
        batched: whether the first axis counts samples; None for the rule of each kind of function.
        training: what Keras layers are told.

    Returns:
        A ``ConcreteFunction`` of the same arguments, with the same results.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: no specs, for a function without its own, or wrong ones.
        GraphError: TensorFlow can't freeze or optimize it; or the results differ, as those of random numbers do.

    Example:
        >>> simple = tgk.simplify(lambda x: x * (tf.constant(1.0) + 2.0), tf.TensorSpec([2]))
        >>> simple(tf.constant([1.0, 2.0])).numpy().tolist()
        [3.0, 6.0]
    """
    return simplified(fn, *specs, batched=batched, training=training).concrete


def simplified(fn: Any, *specs: Any, batched: bool | None = None, training: bool = False) -> Simplified:
    """:func:`simplify`, with the trace and the constants.

    Raises:
        SourceError, SignatureError, GraphError: see there.
    """
    seen = view(fn, *specs, batched=batched, training=training)
    constants = constants_of(fn, seen, batched=batched, training=training)
    plain = frozen(seen.concrete, lower_control_flow=False)
    concrete = _simplified_function(seen, plain, constants.values)
    if constants.values and constants.assumed and differ(seen, concrete):
        # Samples that influence each other: a result that is constant for one need not be for many.
        constants = constants.without_values()
        concrete = _simplified_function(seen, plain, {})
    check_equal(seen, concrete)
    return Simplified(seen, concrete, constants)


def _simplified_function(seen: GraphView, plain: Any, constants: dict[int, np.ndarray]) -> Any:
    """A concrete function of the user's arguments, whose results at the positions of ``constants`` are constants."""

    def flat(*xs: tf.Tensor) -> list[tf.Tensor]:
        computed = plain(*xs) if len(constants) < len(plain.outputs) else [None] * len(plain.outputs)
        return [
            _broadcast(constants[i], seen, xs) if i in constants else tensor
            for i, tensor in enumerate(tf.nest.flatten(computed))
        ]

    inputs = [tf.TensorSpec(t.shape, t.dtype, t.op.name) for t in seen.inputs]
    traced = frozen(tf.function(flat, autograph=False).get_concrete_function(*inputs), lower_control_flow=False)
    names = [tensor.name for tensor in (*traced.inputs, *traced.outputs)]
    definition = optimized(traced.graph, names)
    return _packed(seen, definition, names[: len(inputs)], names[len(inputs) :])


def _broadcast(value: np.ndarray, seen: GraphView, xs: Sequence[tf.Tensor]) -> tf.Tensor:
    """The constant of one sample for each sample."""
    constant = tf.constant(value)
    if not seen.source.batched or not value.ndim:
        return constant
    lead = next(x for x in xs if x.shape.rank)
    return tf.broadcast_to(constant, [tf.shape(lead)[0], *value.shape[1:]])


def _packed(seen: GraphView, definition: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """The GraphDef as a function of the user's arguments."""
    ops = {name.partition(":")[0] for name in inputs}
    kept = tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    kept.node.extend(node for node in definition.node if node.name not in ops)
    read = {text if ":" in text else f"{text}:0" for node in kept.node for text in node.input}

    def call(*arguments: Any) -> Any:
        tensors = [leaf for leaf in tf.nest.flatten(list(arguments)) if tf.is_tensor(leaf)]
        by_name = dict(zip(inputs, tensors, strict=True))
        used = {name: tensor for name, tensor in by_name.items() if name in read}
        computed = [name for name in outputs if name not in by_name]
        imported = tf.graph_util.import_graph_def(kept, input_map=used, return_elements=computed, name="")
        by_name |= dict(zip(computed, imported, strict=True))
        for name, tensor in zip(outputs, seen.outputs, strict=True):
            by_name[name].set_shape(tensor.shape)
        results = iter([by_name[name] for name in outputs])
        return tf.nest.map_structure(lambda leaf: None if leaf is None else next(results), seen.results)

    specs = repacked(seen, [tf.TensorSpec(t.shape, t.dtype, t.op.name) for t in seen.inputs])
    return tf.function(call, autograph=False).get_concrete_function(*specs)
