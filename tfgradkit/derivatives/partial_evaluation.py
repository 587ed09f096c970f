"""A function and both products with its Jacobian as one graph, cut where the seeds come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ..arguments import packed_like
from ..differentiable import Differentiable
from ..graph.python_code import own_errors
from ..graph.trace import flat_function
from ..op_gradients.exact_functions import exact_functions
from .evaluate import spec_of
from .options import Options
from .problem import narrowed, select
from .pullback import Tensors, bilinear, or_zeros, pullback, transposed

Product = Callable[[Tensors], Tensors]


@dataclass
class Written:
    """A function written into a graph: tensors, products, and the structures of the caller."""

    xs: Any
    ys: Tensors
    aux: Any
    forward: Product
    reverse: Product
    x_structure: Any
    y_structure: Any
    by_variables: bool

    def specs(self, xs: Sequence[Any], ys: Sequence[Any]) -> tuple[Any, Any]:
        """Shapes and dtypes of x and y, in their structures."""
        pairs = ((self.x_structure, xs), (self.y_structure, ys))
        x, y = (packed_like(s, [tf.TensorSpec(t.shape, t.dtype) for t in ts]) for s, ts in pairs)
        return x, y


def written(source: Differentiable, options: Options, arguments: Sequence[Any]) -> Written:
    """The function at ``arguments``, tensors of the current graph, and products that write into it when called."""
    with exact_functions():
        selection = select(narrowed(source, options), options, arguments)
        pull = pullback(lambda xs: selection.f(xs, 1), selection.xs)
        along = transposed(pull)

    def forward(vs: Tensors) -> Tensors:
        return [or_zeros(p, y) for p, y in zip(along(vs), pull.ys, strict=True)]

    def reverse(us: Tensors) -> Tensors:
        return [or_zeros(p, x) for p, x in zip(bilinear(pull.product, us), selection.xs, strict=True)]

    return Written(
        selection.xs,
        pull.ys,
        selection.first.aux,
        forward,
        reverse,
        selection.structure,
        selection.first.structure,
        selection.variables,
    )


class Stages:
    """The function and its products for one signature: a call runs the function, whose values the products take over.

    Attributes:
        operations: of the graph that was written, before it was cut.
    """

    def __init__(
        self, write: Callable[[Any], Written], arguments: list[Any], batch: int | None, jit_compile: bool
    ) -> None:
        self._compiled = jit_compile

        def call(given: Any) -> list[tf.Tensor]:
            at = write(given)
            self._vs, self._us = ([_placeholder(t) for t in group] for group in (at.xs, at.ys))
            self._forward, self._reverse = at.forward(self._vs), at.reverse(self._us)
            self._at = at
            return at.ys

        whole, tensors = flat_function(call, arguments)
        graph = tf.compat.v1.wrap_function(whole, [spec_of(t, batch) for t in tensors])
        self._inputs = list(graph.inputs[: len(tensors)])
        self.operations = graph.graph.get_operations()
        self._cut(graph)

    def _cut(self, graph: Any) -> None:
        at = self._at
        pairs = ((self._forward, self._vs), (self._reverse, self._us))
        known = _after(graph.graph, graph.inputs)
        boundaries = [_boundary(_after(graph.graph, seeds), known, results) for results, seeds in pairs]
        self._aux = [leaf for leaf in tf.nest.flatten(at.aux) if isinstance(leaf, tf.Tensor)]
        given = {t.ref() for t in self._inputs}
        # By a layer's result xs are no arguments.
        self._inner = [] if at.by_variables else [x for x in at.xs if x.ref() not in given]
        self._value = self._ready(
            graph.prune(self._inputs, [*at.ys, *self._aux, *self._inner, *boundaries[0], *boundaries[1]]), self._inputs
        )
        self._products = [
            self._ready(graph.prune([*seeds, *boundary], results), [*seeds, *boundary])
            for (results, seeds), boundary in zip(pairs, boundaries, strict=True)
        ]
        self._widths = [len(boundary) for boundary in boundaries]

    def _ready(self, function: Any, inputs: Sequence[tf.Tensor]) -> Any:
        # Called by itself, a pruned function first tries to bind its arguments by name, for milliseconds.
        return tf.function(
            lambda *flat: function(*flat),
            input_signature=[tf.TensorSpec.from_tensor(t) for t in inputs],
            jit_compile=self._compiled,
            autograph=False,
        )

    def __call__(self, arguments: list[Any]) -> tuple[Any, ...]:
        """The :class:`Written`, ys, xs, aux, and the two products at the arguments."""
        at = self._at
        tensors = [leaf for leaf in tf.nest.flatten(arguments) if isinstance(leaf, tf.Tensor)]
        with own_errors():
            found = list(self._value(*tensors))
        ys, found = found[: len(at.ys)], found[len(at.ys) :]
        aux, found = iter(found[: len(self._aux)]), found[len(self._aux) :]
        inner, found = found[: len(self._inner)], found[len(self._inner) :]
        kept = found[: self._widths[0]], found[self._widths[0] :]
        forward, reverse = (_bound(f, tensors) for f, tensors in zip(self._products, kept, strict=True))
        filled = [next(aux) if isinstance(leaf, tf.Tensor) else leaf for leaf in tf.nest.flatten(at.aux)]
        return at, ys, self._points(tensors, inner), tf.nest.pack_sequence_as(at.aux, filled), forward, reverse

    def _points(self, tensors: list[tf.Tensor], inner: list[tf.Tensor]) -> Any:
        """xs of this call, for their shapes: an argument or a result's batch may be unknown in the graph."""
        if self._at.by_variables:
            return self._at.xs
        values = dict(zip([t.ref() for t in (*self._inputs, *self._inner)], (*tensors, *inner), strict=True))
        return [values[x.ref()] for x in self._at.xs]


def _bound(product: Any, kept: list[tf.Tensor]) -> Product:
    def run(seeds: Tensors) -> Tensors:
        with own_errors():
            return list(product(*seeds, *kept))

    return run


def _placeholder(like: Any) -> tf.Tensor:
    return tf.compat.v1.placeholder(like.dtype, like.shape)


def _boundary(late: set[Any], known: set[Any], results: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The tensors that the ``late`` ops on the way to the results take from other ops; constants are on both sides."""
    found: dict[Any, tf.Tensor] = {}
    seen, stack = set(), list(results)
    while stack:
        tensor = stack.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        if tensor.op in late:
            stack += tensor.op.inputs
        elif tensor.op in known:
            found[tensor.ref()] = tensor
    return list(found.values())


def _after(graph: Any, seeds: Sequence[tf.Tensor]) -> set[Any]:
    """The ops that run after ``seeds`` are there: many gradients wait for theirs, though they don't use them."""
    late = {seed.op for seed in seeds}
    for operation in graph.get_operations():
        before = [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
        if not late.isdisjoint(before):
            late.add(operation)
    return late
