"""Proofs about a derivative from its graph, for all arguments: zeros, constants, symmetry of second derivatives.

Second derivatives are symmetric where all ops of the function are smooth (Schwarz's theorem).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...analysis.sparsity.detect import Traced, detected
from ...derivatives.derivative import Derivative
from ...derivatives.problem import narrowed, select
from ...errors import GradientError, GraphError, SignatureError, VersionError
from ...graph.dependence import between
from ...graph.ops import SMOOTH, has_own_gradient
from ..graph.constant_results import constants_of
from ..graph.graph_view import view


def is_smooth(operations: Iterable[Any]) -> bool:
    """Whether all of ``operations`` are known to be smooth, and have their own gradients."""
    return all(operation.type in SMOOTH and not has_own_gradient(operation) for operation in operations)


@dataclass(frozen=True)
class Proofs:
    """The proofs about one derivative.

    Attributes:
        pattern: flattened results by flattened arguments, where entries can be other than zero; of a Hessian, the
            flattened gradients by the arguments; None where it could not be found.
        constants: values of the blocks that are constant, by position; None for a value that is not known.
        symmetric: whether second derivatives are symmetric, by Schwarz's theorem.
        notes: which proofs could not be had, and why.
    """

    pattern: Any
    constants: dict[int, np.ndarray | None]
    symmetric: bool
    notes: tuple[str, ...]


def proven(derivative: Derivative, arguments: Sequence[Any], steady: Sequence[bool], sizes: Sequence[int]) -> Proofs:
    """The proofs about a derivative, for arguments like ``arguments``.

    Args:
        derivative: by its arguments, or by variables, of which zeros can't be proven.
        arguments: tensors, in the nests that it takes.
        steady: for each block, whether it may be constant, being the same at all samples.
        sizes: for each block of one sample, the number of its elements.
    """
    notes: list[str] = []
    pattern, constants, smooth = None, {}, False
    if derivative.options.by_inputs:
        smooth = _is_function_smooth(derivative, arguments)
        try:
            pattern = _pattern(derivative, arguments)
            constants = _constants_by_pattern(derivative, arguments, steady, sizes) if smooth and any(steady) else {}
        except (GradientError, SignatureError, VersionError) as error:
            notes.append(f"zeros are those of samples: {error.what}")
    if any(steady):
        try:
            constants |= _folded_constants(derivative, arguments)
        except GraphError as error:
            notes.append(f"what is constant is known from samples: {error.what}")
    return Proofs(pattern, constants, smooth and _is_second_order(derivative), tuple(notes))


def _folded_constants(derivative: Derivative, arguments: Sequence[Any]) -> dict[int, np.ndarray]:
    """The blocks that Grappler or XLA find to be constant, for one sample, with their values."""
    batched = derivative.source.batched
    specs = tf.nest.map_structure(lambda leaf: _one_sample(leaf, batched), list(arguments))
    seen = view(derivative, *specs)
    found = constants_of(derivative, seen, batched=None, training=False).values
    return {position: value[0] if batched else value for position, value in found.items()}


def _one_sample(leaf: Any, batched: bool) -> Any:
    if not isinstance(leaf, tf.Tensor):
        return leaf
    shape = [1, *leaf.shape[1:]] if batched and leaf.shape.rank else leaf.shape
    return tf.TensorSpec(shape, leaf.dtype)


def _constants_by_pattern(
    derivative: Derivative, arguments: Sequence[Any], steady: Sequence[bool], sizes: Sequence[int]
) -> dict[int, np.ndarray | None]:
    """The blocks whose own derivative by the arguments is zero: those of a smooth function are constant.

    Of other functions they need not be: a step has the derivative zero, too.
    """
    pattern = detected(_entries(derivative), list(arguments), derivative.source.batched, derivative.source.name)
    rows = np.diff(pattern.indptr) == 0
    ends = np.cumsum(sizes)
    blocks = zip(ends - np.array(sizes), ends, steady, strict=True)
    return {i: None for i, (start, end, may) in enumerate(blocks) if may and rows[start:end].all()}


def _entries(derivative: Derivative) -> Traced:
    """A function from a sample to the tensors to differentiate by, and to all entries of the derivative."""

    def traced(sample: Sequence[Any]) -> Any:
        xs = select(derivative.source, derivative.options, sample).xs
        return xs, tf.nest.flatten(derivative.evaluate(sample, inlined=True).parts[derivative.operator])

    return traced


def _pattern(derivative: Derivative, arguments: Sequence[Any]) -> Any:
    """The sparsity pattern of the derivative, read off the graph."""
    source, options = derivative.source, derivative.options
    if derivative.operator == "hessian":
        traced = _entries(Derivative(source, "jacobian", ("jacobian",), options))
    else:

        def traced(sample: Sequence[Any]) -> Any:
            selection = select(narrowed(source, options), options, sample)
            return selection.xs, selection.f(selection.xs, 1)

    return detected(traced, list(arguments), source.batched, source.name)


def _is_second_order(derivative: Derivative) -> bool:
    """Whether it is a matrix of second derivatives: a Hessian, or the Jacobian of a gradient."""
    inner = _inner_derivative(derivative)
    return derivative.operator == "hessian" or (inner is not None and inner.operator == "gradient")


def _inner_derivative(derivative: Derivative) -> Derivative | None:
    """The derivative whose derivative this one is; None for the derivative of another function."""
    owner = getattr(derivative.source.call, "__self__", None)
    return owner if isinstance(owner, Derivative) else None


def _is_function_smooth(derivative: Derivative, arguments: Sequence[Any]) -> bool:
    """Whether the function behind a derivative is smooth."""
    inner = _inner_derivative(derivative)
    if inner is not None:
        return _is_function_smooth(inner, arguments)
    seen = view(narrowed(derivative.source, derivative.options), *arguments)
    return is_smooth(between(seen.graph.get_operations(), seen.inputs, seen.outputs))
