"""``GraphView``: a function traced once, with names for what goes in and out, as it is, variables and all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...differentiable import Differentiable
from ...errors import SignatureError
from ...graph.ops import everywhere
from ...graph.trace import flat_function
from ...sources.layer_results import layer_of
from ...sources.resolve import resolve


@dataclass(frozen=True)
class GraphView:
    """What tracing a function made.

    Attributes:
        source: the function.
        concrete: its trace, with flat tensors as arguments; what runs.
        inputs, outputs: tensors of the graph: the leaves of the arguments and of the results that are
            tensors, in the order of ``tf.nest``.
        input_names, output_names: how messages call them: "x", "x['a']", "y[1]".
        arguments, results: the nests that they are leaves of.
    """

    source: Differentiable
    concrete: Any
    inputs: tuple[tf.Tensor, ...]
    outputs: tuple[tf.Tensor, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    arguments: list[Any]
    results: Any

    @property
    def graph(self) -> Any:
        """The ``FuncGraph``."""
        return self.concrete.graph

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """The variables that the graph reads or writes, by the names of the placeholders of their handles."""
        handles = {id(variable.handle): variable for variable in self.graph.variables}
        captures = self.graph.captures
        return {inner.op.name: handles[id(outer)] for outer, inner in captures if id(outer) in handles}

    def layer(self, operation: Any) -> str | None:
        """The innermost Keras layer that an op belongs to."""
        name = layer_of(operation.name, self.source.layer_names)
        return None if name == operation.name else name

    def everywhere(self) -> Iterator[Any]:
        """All ops, each followed by those of the functions it calls."""
        yield from everywhere(self.graph.get_operations())


def view(fn: Any, *arguments: Any, batched: bool | None = None, training: bool = False) -> GraphView:
    """Traces ``fn`` for ``arguments``: values, or ``tf.TensorSpec``s, in the nests that it takes.

    Without arguments, for the specs of the function itself.

    Raises:
        SourceError: ``fn`` is no function or model.
        SignatureError: no arguments, for a function without specs of its own, or wrong ones.
    """
    source = resolve(fn, batched=batched, training=training)
    given = list(arguments) or _own_specs(source)
    results: list[Any] = []

    def call(nest: list[Any]) -> list[tf.Tensor]:
        results[:] = [source.call(*nest)]
        return [leaf for leaf in tf.nest.flatten(results[0]) if leaf is not None]

    flat, leaves = flat_function(call, given, lambda leaf: spec_of_leaf(leaf) is not None)
    pairs = zip(leaf_names(given, source.argument_names or ("x",)), tf.nest.flatten(given), strict=True)
    names = [name for name, leaf in pairs if spec_of_leaf(leaf) is not None]
    specs = [_named(spec_of_leaf(leaf), name) for leaf, name in zip(leaves, names, strict=True)]
    concrete = tf.function(flat, autograph=False).get_concrete_function(*specs)
    return GraphView(
        source,
        concrete,
        tuple(concrete.inputs[: len(leaves)]),
        tuple(concrete.outputs),
        tuple(names),
        tuple(leaf_names([results[0]], ("y",))),
        given,
        results[0],
    )


def leaf_names(nests: list[Any], roots: tuple[str, ...]) -> list[str]:
    """A name for each leaf of some nests, in the order of ``tf.nest``: "x", "x['a']", "argument 2[0]"."""
    found = []
    for position, nest in enumerate(nests):
        root = roots[position] if position < len(roots) else f"argument {position}"
        found += [f"{root}{path}" for path in _paths(nest)]
    return found


def _paths(nest: Any) -> list[str]:
    if isinstance(nest, dict):
        return [f"[{key!r}]{rest}" for key in sorted(nest) for rest in _paths(nest[key])]
    if isinstance(nest, (list, tuple)) and not tf.is_tensor(nest):
        return [f"[{i}]{rest}" for i, item in enumerate(nest) for rest in _paths(item)]
    return [""]


def _own_specs(source: Differentiable) -> list[Any]:
    if source.input_specs is None:
        raise SignatureError(
            "the function has no specs of its own",
            subject=source.name,
            hint="pass its arguments, or a tf.TensorSpec for each",
        )
    return list(source.input_specs)


def spec_of_leaf(leaf: Any) -> tf.TensorSpec | None:
    """What stands for a leaf in the trace: None for strings, flags and the like, which stay as they are."""
    if isinstance(leaf, (tf.TensorSpec, tf.Tensor)) or hasattr(leaf, "__array__") or isinstance(leaf, float):
        return leaf if isinstance(leaf, tf.TensorSpec) else tf.TensorSpec.from_tensor(tf.convert_to_tensor(leaf))
    return None


def _named(spec: tf.TensorSpec | None, name: str) -> tf.TensorSpec:
    """With the name that its placeholder is to have: its own, or that of the argument."""
    assert spec is not None
    return tf.TensorSpec(spec.shape, spec.dtype, spec.name or re.sub(r"\W+", "_", name).strip("_"))
