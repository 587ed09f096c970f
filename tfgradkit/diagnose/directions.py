"""A function of flat arrays and its products, to be checked: the same code that the operators use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ..derivatives.choices import Options
from ..derivatives.point import or_zeros
from ..derivatives.primitives import Tensors, pullback, transposed
from ..derivatives.selection import narrowed, select
from ..differentiable import Differentiable
from ..rules.substitutes import exact_functions

Arrays = list[np.ndarray]
FlatFunction = Callable[[Tensors], Tensors]


@dataclass
class Checked:
    """A function to check.

    Attributes:
        xs: where.
        ys: its values there.
        value: xs ↦ ys.
        products: (us, vs) ↦ (J v, Jᵀ u), at xs.
        epsilon: of the coarsest dtype among xs and ys.
        dtype: that one's name.
    """

    xs: Arrays
    ys: Arrays
    value: Callable[[Arrays], Arrays]
    products: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]
    epsilon: float
    dtype: str


def checked(source: Differentiable, options: Options, arguments: Any, weights: Sequence[Arrays]) -> Checked:
    """The function of ``source``, or its derivative Jᵀ u for each u of ``weights`` in turn.

    Raises:
        SignatureError, GradientError: as the operators do.
    """
    source = narrowed(source, options)
    variables: list[tf.Variable] = []

    def function() -> tuple[FlatFunction, Tensors]:
        selection = select(source, options, arguments)
        if selection.variables:
            variables[:] = selection.xs
        f: FlatFunction = lambda xs: selection.f(xs, 1)  # noqa: E731
        for us in weights:
            f = _gradient(f, us)
        return f, selection.xs

    start = _run(lambda: [tf.identity(x) for x in function()[1]])
    kinds = [x.dtype for x in start]
    specs = [] if variables else [tf.TensorSpec(x.shape, x.dtype) for x in start]
    graph_value = _traced(lambda *xs: function()[0](list(xs) or variables), specs)

    def value(xs: Arrays) -> Arrays:
        tensors = [tf.constant(x, kind) for x, kind in zip(xs, kinds, strict=True)]
        results = _at(variables, tensors, graph_value) if variables else graph_value(*tensors)
        return [y.numpy().astype(np.float64) for y in results]

    ys = graph_value(*([] if variables else start))
    seeds = [tf.TensorSpec(t.shape, t.dtype) for t in [*ys, *start]]

    def both(*given: tf.Tensor) -> Any:
        us, vs, xs = given[: len(ys)], given[len(ys) : len(ys) + len(start)], given[len(ys) + len(start) :]
        f, _ = function()
        pull = pullback(f, list(xs) or variables)
        # A Hessian is its own transpose, or the check finds out; forward mode would be a third derivative.
        forward, reverse = (pull.product(vs) if weights else transposed(pull)(vs)), pull.product(us)
        return (
            [or_zeros(p, y) for p, y in zip(forward, pull.ys, strict=True)],
            [or_zeros(p, x) for p, x in zip(reverse, start, strict=True)],
        )

    graph_products = _traced(both, [*seeds, *specs])

    def products(us: Arrays, vs: Arrays) -> tuple[Arrays, Arrays]:
        given = [tf.constant(s, like.dtype) for s, like in zip([*us, *vs], [*ys, *start], strict=True)]
        forward, reverse = graph_products(*given, *([] if variables else start))
        return [p.numpy().astype(np.float64) for p in forward], [p.numpy().astype(np.float64) for p in reverse]

    coarsest = max([*kinds, *(y.dtype for y in ys)], key=_epsilon)
    return Checked(
        [x.numpy().astype(np.float64) for x in start],
        [y.numpy().astype(np.float64) for y in ys],
        value,
        products,
        _epsilon(coarsest),
        coarsest.name,
    )


def _gradient(f: FlatFunction, us: Arrays) -> FlatFunction:
    def call(xs: Tensors) -> Tensors:
        pull = pullback(f, xs)
        found = pull.product([tf.constant(u, y.dtype) for u, y in zip(us, pull.ys, strict=True)])
        return [or_zeros(g, x) for g, x in zip(found, xs, strict=True)]

    return call


def _traced(f: Callable[..., Any], specs: Sequence[tf.TensorSpec]) -> Callable[..., Any]:
    with exact_functions():
        return tf.function(f, autograph=False).get_concrete_function(*specs)


def _run(f: Callable[..., Any]) -> Any:
    return _traced(f, [])()


def _at(variables: Sequence[tf.Variable], values: Sequence[tf.Tensor], f: Callable[[], Any]) -> Any:
    before = [variable.read_value() for variable in variables]
    try:
        for variable, new in zip(variables, values, strict=True):
            variable.assign(new)
        return f()
    finally:
        for variable, old in zip(variables, before, strict=True):
            variable.assign(old)


def _epsilon(kind: tf.DType) -> float:
    return {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[kind.name]
