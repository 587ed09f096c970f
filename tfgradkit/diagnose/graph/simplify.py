"""``simplify``: a function with all that can be done ahead of time done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...graph.grappler import frozen, optimized
from .constant_results import ConstantResults, constants_of
from .equal_results import check_equal, differ, repacked
from .graph_view import GraphView, view


@dataclass(frozen=True)
class Simplified:
    """A function, as it was and simplified.

    Attributes:
        seen: as it was.
        concrete: simplified; takes the same arguments, and returns the same nest.
        constants: what doesn't depend on the arguments, and what there is to do for one sample.
    """

    seen: GraphView
    concrete: Any
    constants: ConstantResults


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
    """:func:`simplify`, with what was found on the way.

    Raises:
        SourceError, SignatureError, GraphError: see there.
    """
    seen = view(fn, *specs, batched=batched, training=training)
    constants = constants_of(fn, seen, batched=batched, training=training)
    plain = frozen(seen.concrete, lower_control_flow=False)
    made = _made(seen, plain, constants.values)
    if constants.values and constants.assumed and differ(seen, made):
        # Samples that influence each other: what is constant for one alone need not be for many.
        constants = constants.dropped()
        made = _made(seen, plain, {})
    check_equal(seen, made)
    return Simplified(seen, made, constants)


def _made(seen: GraphView, plain: Any, constants: dict[int, np.ndarray]) -> Any:
    """A concrete function of the user's arguments, whose results at the positions in ``constants`` are those."""

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
    """The GraphDef as a function of the arguments as the user gives them."""
    ops = {name.partition(":")[0] for name in inputs}
    kept = tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    kept.node.extend(node for node in definition.node if node.name not in ops)
    read = {text if ":" in text else f"{text}:0" for node in kept.node for text in node.input}

    def call(*arguments: Any) -> Any:
        tensors = [leaf for leaf in tf.nest.flatten(list(arguments)) if tf.is_tensor(leaf)]
        given = dict(zip(inputs, tensors, strict=True))
        used = {name: tensor for name, tensor in given.items() if name in read}
        wanted = [name for name in outputs if name not in given]
        made = tf.graph_util.import_graph_def(kept, input_map=used, return_elements=wanted, name="")
        found = given | dict(zip(wanted, made, strict=True))
        for name, tensor in zip(outputs, seen.outputs, strict=True):
            found[name].set_shape(tensor.shape)
        results = iter([found[name] for name in outputs])
        return tf.nest.map_structure(lambda leaf: None if leaf is None else next(results), seen.results)

    specs = repacked(seen, [tf.TensorSpec(t.shape, t.dtype, t.op.name) for t in seen.inputs])
    return tf.function(call, autograph=False).get_concrete_function(*specs)
