"""The pattern of a Jacobian, read off the graph of the function for one sample.

Conservative: an entry that can be other than zero, for some input or some value of the variables, is
in the pattern. "Global" detection in the sense of A. Hill and G. Dalle, "Sparser, Better, Faster,
Stronger: Sparsity Detection for Efficient Automatic Differentiation", arXiv 2501.17737 (2025);
Griewank & Walther, "Evaluating Derivatives", 2nd ed., ch. 7.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import SignatureError
from ...graph.fold import KnownValues
from ...graph.trace import flat_function, is_tensor_or_variable
from . import custom_gradients, elementwise, sums, windows  # noqa: F401  they register their rules
from .domain import Flow, static_shape
from .index_sets import IndexSets

Tensors = list[tf.Tensor]
# A function from the arguments of one sample to (xs, ys).
Traced = Callable[[Sequence[Any]], tuple[Tensors, Tensors]]


def detected(traced: Traced, arguments: Sequence[Any], batched: bool, name: str) -> Any:
    """The pattern as a CSR matrix of bools: flattened ys by flattened xs, each in the order of ``tf.nest``.

    Raises:
        SignatureError: a size is not known before the run.
    """
    graph, xs, ys = one_sample(traced, arguments, batched)
    counts = [_count(x, "the input", name) for x in xs]
    for y in ys:
        _count(y, "the result", name)
    sets = IndexSets(sum(counts))
    constants = KnownValues()
    constants.captured(graph)
    flow = Flow(sets, constants)
    for x, numbers in zip(xs, np.split(sets.singles(), np.cumsum(counts)[:-1]), strict=True):
        flow.put(x, numbers.reshape(static_shape(x)))
    flow.run(graph.get_operations())
    return sets.rows(np.concatenate([np.ravel(flow.numbers(y)) for y in ys]))


def one_sample(traced: Traced, arguments: Sequence[Any], batched: bool) -> tuple[Any, Tensors, Tensors]:
    """The graph of the function for a batch of one, its xs and its ys."""
    found: list[Any] = []

    def call(given: list[Any]) -> None:
        found[:] = traced(given)

    sample, leaves = flat_function(call, list(arguments), is_tensor_or_variable)
    batch = next((leaf.shape[0] for leaf in leaves if _has_axes(leaf)), None) if batched else None
    specs = [_spec(leaf, batched, batch) for leaf in leaves]
    concrete = tf.function(sample, input_signature=specs, autograph=False).get_concrete_function()
    xs, ys = found
    return concrete.graph, xs, ys


def _spec(tensor: Any, batched: bool, batch: int | None) -> tf.TensorSpec:
    shape = tensor.shape.as_list() if tensor.shape.rank is not None else None
    whole = batched and shape and shape[0] == batch
    return tf.TensorSpec([1, *shape[1:]] if whole and shape else shape, tensor.dtype)


def _has_axes(leaf: Any) -> bool:
    return isinstance(leaf, tf.Tensor) and bool(leaf.shape.rank)


def _count(tensor: tf.Tensor, role: str, name: str) -> int:
    shape = static_shape(tensor)
    if shape is None:
        raise SignatureError(
            f"a sparse Jacobian needs to know the size of {role}",
            subject=name,
            expected="a shape whose sizes are known, but for the batch's",
            got=str(tensor.shape),
            hint="tf.ensure_shape in the function, or input specs with sizes",
        )
    return int(np.prod(shape, dtype=int))
